/** The same bytes, read by two releases: what the rows of both have in common they read alike. */
import { type Kernel, kernels } from "../formats/kernels.js";
import { LUO_KHO_ENTRY_NAME } from "../formats/luo/luo.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import { type Decoded, decodeHandover, type Handover } from "../src/handover/index.js";
import type { Finding } from "../src/report/finding.js";
import { mutateHandover } from "./mutate/handover.js";
import { differenceOf } from "./oracles/equal.js";
import { type Outcome, reading } from "./oracles/errors.js";
import { type Opened, openCore } from "./oracles/open.js";
import { differing } from "./oracles/rows.js";
import { captureSeeds } from "./seeds/captures.js";
import { machineSeeds } from "./seeds/machines.js";
import type { Seed } from "./seeds/seed.js";

export const about = "captured handovers, read by two releases";

export function* seeds(): Generator<Seed> {
  yield* machineSeeds(["bare", "memory", "sessions", "lists"]);
  yield* captureSeeds();
}

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateHandover(data, random);

/** Neighbouring rows; an input says by its length which of them read it, so that each is quick. */
const pairs = kernels.slice(1).map((kernel, i) => [kernels[i]!, kernel] as const);

export function fuzz(data: Uint8Array): void {
  const opened = openCore(data);
  if (!opened) return;
  const asked = kernels.findIndex(({ release }) => release === opened.options.release);
  const near = pairs.filter((_, i) => i === asked || i === asked - 1);
  for (const [a, b] of near.length > 0 ? near : [pairs[data.length % pairs.length]!]) compare(opened, a, b);
}

function compare(opened: Opened, a: Kernel, b: Kernel): void {
  const [some, others] = [a, b].map(({ release }) => ({
    strict: read(opened, release, "strict"),
    forensic: read(opened, release, "forensic"),
  })) as [Readings, Readings];
  const fields = differing(a, b);
  const who = `${a.release} and ${b.release}`;
  if (fields.length === 0) {
    const difference =
      differenceOf(plain(some.strict), plain(others.strict)) ??
      differenceOf(plain(some.forensic), plain(others.forensic));
    if (difference !== undefined)
      fail("strict-pair", `${who} have the same formats, and read otherwise: ${difference}`);
    return;
  }
  if (!some.forensic.value || !others.forensic.value) {
    // What keeps forensic mode from reading on has nothing to do with releases.
    if (some.forensic.error?.code !== others.forensic.error?.code)
      fail(
        "strict-pair",
        `only one of ${who} can read on: ${some.forensic.error?.code}, ${others.forensic.error?.code}`,
      );
    return;
  }
  checkContent(some.forensic.value, others.forensic.value, fields, who);
}

interface Readings {
  readonly strict: Outcome<Decoded>;
  readonly forensic: Outcome<Decoded>;
}

const read = ({ image, options }: Opened, release: string, mode: "strict" | "forensic"): Outcome<Decoded> =>
  reading(mode, () => decodeHandover(image, { ...options, release, mode }));

/** What was read, without the names of releases. */
function plain({ value, error }: Outcome<Decoded>): unknown {
  const wordless = ({ severity, code, path, pa, length, actual, consequence }: Finding) => ({
    severity,
    code,
    path,
    pa,
    length,
    actual,
    outcome: consequence?.outcome,
    errno: consequence?.errno,
    all: consequence?.all,
  });
  if (!value)
    return { code: error.code, path: error.path, pa: error.pa, outcome: error.consequence?.outcome };
  const { release: _, releaseEvidence: __, ...handover } = value.handover;
  return { handover, findings: value.findings.map(wordless) };
}

/**
 * Everything is read by the version strings of what was found, whoever reads it. Bitmaps say nothing of their size: it is
 * the one thing that the row decides, and what a memfd's folios are follows from the map.
 */
function checkContent(a: Decoded, b: Decoded, fields: readonly (keyof Kernel)[], who: string): void {
  const bitmaps = a.handover.preserved?.skeleton.kind === "bitmaps" && fields.includes("bitmap");
  const difference = differenceOf(content(a.handover, bitmaps), content(b.handover, bitmaps));
  if (difference !== undefined)
    fail("strict-pair", `${who} differ in ${fields.join()}, and read ${difference}`);
}

function content(
  { compatible, handoff, scratch, preserved, subtrees, luo, reserveMem, kexecMetadata }: Handover,
  bitmaps: boolean,
) {
  const blobs = subtrees.map(({ name, pa, size, kind }) => ({ name, pa, size, kind }));
  if (bitmaps) return { compatible, handoff, scratch, blobs, reserveMem, kexecMetadata, luo: namesOf(luo) };
  return { compatible, handoff, scratch, blobs, reserveMem, kexecMetadata, luo, preserved };
}

const namesOf = (luo: Handover["luo"]): unknown =>
  luo?.sessions.map(({ name, files }) => ({ name, tokens: files.map(({ token }) => token) })) ??
  LUO_KHO_ENTRY_NAME;
