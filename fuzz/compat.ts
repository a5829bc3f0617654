/** Verdicts: releases with the same formats take the same, and a kernel takes what it could have written itself. */
import { type Kernel, kernels } from "../formats/kernels.js";
import { judgeOf, type Verdict } from "../src/compat/judge.js";
import { fail } from "../src/fuzz/finding.js";
import type { Random } from "../src/fuzz/random.js";
import type { Limits } from "../src/fuzz/target.js";
import { decodeHandover } from "../src/handover/index.js";
import { readCore } from "./mutate/core.js";
import { mutateHandover } from "./mutate/handover.js";
import { departureOf } from "./oracles/departure.js";
import { differenceOf } from "./oracles/equal.js";
import { guarded, type Outcome, reading } from "./oracles/errors.js";
import { openCore } from "./oracles/open.js";
import { isSound } from "./oracles/roundtrip.js";
import { differing } from "./oracles/rows.js";
import { machineSeeds } from "./seeds/machines.js";
import type { Seed } from "./seeds/seed.js";

export const about = "verdicts over captured handovers, for releases with the same formats";

export const seeds = (): Iterable<Seed> => machineSeeds(["bare", "memory", "sessions"]);

export const mutate = (data: Uint8Array, random: Random): Uint8Array => mutateHandover(data, random);

/** Neighbouring rows with the same formats. */
const alike = kernels.flatMap((kernel, i) => {
  const before = kernels[i - 1];
  return before && differing(before, kernel).length === 0 ? [[before, kernel] as const] : [];
});

/** A few boots of a kernel, each of which reads everything twice. */
export const limits = (length: number): Limits => ({
  steps: 200_000_000 + 800 * length,
  bytes: 2 ** 29 + 256 * length,
});

export function fuzz(data: Uint8Array): void {
  const opened = openCore(data);
  const core = opened && readCore(data);
  const { release } = opened?.options ?? {};
  if (!core || core.frames.size === 0 || core.handoff === 0n || release === undefined) return;
  const options = { ...opened.options, mode: "forensic" } as const;
  const decoded = reading("forensic", () => decodeHandover(opened.image, options)).value;
  const departure = decoded && departureOf(core, decoded.handover, release);
  if (!departure) return;
  const judge = guarded("read the truth", () => judgeOf(departure)).value;
  if (!judge) return;
  const verdictOf = ({ release: to }: Kernel): Outcome<Verdict> => guarded("judge", () => judge(to));
  const pair = alike[data.length % alike.length]!;
  const [a, b] = pair.map(verdictOf).map(plain);
  const difference = differenceOf(a, b);
  if (difference !== undefined)
    fail(
      "strict-pair",
      `${pair[0].release} and ${pair[1].release} have the same formats, and the verdicts are ${difference}`,
    );
  if (!isSound(decoded)) return;
  const own = verdictOf(kernels.find((kernel) => kernel.release === release)!);
  // How much RAM there is a core does not say.
  if (own.value?.verdict !== "works" && own.value?.reason?.code !== "bad-address")
    fail(
      "machine",
      `what ${release} has nothing to say against is ${own.value?.verdict}: ${own.value?.detail ?? own.error?.message}`,
    );
}

const plain = ({ value, error }: Outcome<Verdict>): unknown =>
  value
    ? { verdict: value.verdict, parts: value.parts.map(({ part, verdict }) => ({ part, verdict })) }
    : { code: error.code, path: error.path };
