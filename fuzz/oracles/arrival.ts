/** What a kernel of the machine makes of a handover, held against what the decoder says of it. */
import { isAtLeast, kernelOf } from "../../formats/kernels.js";
import { PROP_PRESERVED_MEMORY_MAP } from "../../formats/kho/root.js";
import { lookupIn } from "../../formats/kho/runs.js";
import { filePath, luoPath, memfdPath, sessionPath } from "../../formats/paths.js";
import { fail } from "../../src/fuzz/finding.js";
import { memfdContent } from "../../src/handover/content.js";
import { type Decoded, decodeHandover, type File, type Session } from "../../src/handover/index.js";
import type { Image } from "../../src/image/image.js";
import {
  type Departure,
  isMemfdFile,
  type LiveUpdateDevice,
  Machine,
  read,
} from "../../src/machine/index.js";
import { type PhysAddr, pfnOf } from "../../src/memory/index.js";
import type { Code } from "../../src/report/codes.js";
import type { KhoError } from "../../src/report/error.js";
import type { Finding } from "../../src/report/finding.js";
import { plainHandler, smallScratch } from "../seeds/machines.js";
import { firstDifference } from "./equal.js";
import { guarded, reading } from "./errors.js";

/** Files up to this are read and compared. */
const readable = 1n << 20n;

/** Boots a release on a departure and does all that user space can do with it. */
export function checkArrival(departure: Departure & { readonly bootData: PhysAddr }, release: string): void {
  const { memory, hardware, bootData } = departure;
  const { pageSize } = hardware.abi;
  const image: Image = { kind: "raw", memory, arch: hardware.arch, findings: [] };
  const decode = (mode: "strict" | "forensic") =>
    reading(mode, () => decodeHandover(image, { handoff: bootData, release, pageSize, mode }));
  const forensic = decode("forensic");
  const regions = (forensic.value?.handover.reserveMem ?? [])
    .filter(({ name, size }) => /^[a-z]{1,15}$/.test(name) && size > 0n && size < 1n << 24n)
    .slice(0, 1)
    .map(({ name, size }) => ({ name, size: Number(size) }));
  const { value: machine, error } = guarded("boot", () =>
    Machine.arrive(departure, { release, reserveMem: regions, scratch: smallScratch }),
  );
  if (error) fail("machine", `the boot of ${release} ends in an error: ${error.code}, ${error.message}`);
  checkBoot(machine, decode("strict").error, forensic.value, release);
  if (machine.outcome.kind !== "received" || !forensic.value) return;
  checkRegions(machine, forensic.value);
  if (machine.kernel.luo && machine.luo.enabled) checkLiveUpdate(machine, forensic.value, departure, release);
}

/** Whether the kernel comes up with a handover, as if cold, or not at all. */
function checkBoot(
  { outcome }: Machine,
  strict: KhoError | undefined,
  forensic: Decoded | undefined,
  release: string,
): void {
  const kernel = kernelOf(release);
  const fatal = (forensic?.findings ?? []).filter(
    ({ consequence, path }) =>
      consequence?.all &&
      consequence.phase === "boot" &&
      consequence.outcome !== "misread" &&
      (kernel.luo !== undefined || !path.startsWith(luoPath)) &&
      (isAtLeast(kernel, "6.19") || path !== PROP_PRESERVED_MEMORY_MAP),
  );
  if (outcome.kind === "received") {
    const missed = fatal[0];
    if (missed)
      fail(
        "machine",
        `${release} comes up with a handover, and ${missed.code} at ${missed.path} should stop it`,
      );
    if (!forensic) fail("machine", `${release} takes over what cannot be decoded: ${strict?.code}`);
    return;
  }
  if (outcome.kind === "cold") fail("machine", `${release} sees no handover at all`);
  if (!forensic || fatal.some(({ consequence }) => consequence?.outcome === outcome.kind)) return;
  const { reason } = outcome;
  // What a kernel reads once it has overwritten the rest is not what was there.
  if (reason.code === "bad-address" || forensic.findings.some(({ severity }) => severity !== "info")) return;
  fail("machine", `${release}: ${outcome.kind} for ${reason.code} at ${reason.path}, which nothing says`);
}

/** A region of a name that was handed over is the same memory again, unless something is wrong with it. */
function checkRegions({ regions }: Machine, { handover, findings }: Decoded): void {
  if (findings.some(({ severity }) => severity !== "info")) return;
  for (const { name, start, revived } of regions) {
    const handed = handover.reserveMem.find((region) => region.name === name);
    // Regions are whole pages, and what is not cannot be asked for again.
    const page = BigInt(handover.pageSize);
    if (!handed || handed.start % page !== 0n || handed.size % page !== 0n) continue;
    if (!revived || handed.start !== start) fail("machine", `region ${name} is not revived`);
  }
}

/** Faults after which what one file needs can be lost by what becomes of another, or by what early boot overwrites. */
const entangling: ReadonlySet<Code> = new Set<Code>([
  "block-in-scratch",
  "block-overlap",
  "file-duplicate-token",
  "folio-shared",
  "limit-exceeded",
  "map-bad-bitmap",
  "map-cycle",
  "memory-absent",
  "order-mismatch",
  "page-not-preserved",
  "scratch-malformed",
  "session-duplicate",
  "string-empty",
  "string-unterminated",
  "structure-in-scratch",
  "structure-reused",
]);

/** A page of the map that is preserved, too, can be restored as a part of anything else. */
function isMapPreserved({ structures, handover: { preserved, pageSize } }: Decoded): boolean {
  if (!preserved) return false;
  const lookup = lookupIn(preserved.runs);
  return structures.some(
    ({ keeping, pa }) => keeping === "not-preserved" && lookup(pfnOf(pa, pageSize)).kind !== "absent",
  );
}

function checkLiveUpdate(machine: Machine, decoded: Decoded, departure: Departure, release: string): void {
  const { findings, handover } = decoded;
  if (isMapPreserved(decoded)) return;
  const bad = findings.filter(({ severity }) => severity !== "info");
  if (bad.some(({ code }) => entangling.has(code))) return;
  const { luo } = handover;
  if (!luo) return;
  const files = luo.sessions.flatMap((session) => session.files);
  const foreign = files.some(
    ({ compatible }) => ![machine.kernel.memfd, plainHandler.compatible].includes(compatible as "memfd-v1"),
  );
  // Any other handler is one that this kernel lacks.
  if (foreign) return;
  machine.registerFileHandler(plainHandler);
  const refused = bad.find(({ consequence }) => consequence?.phase === "open" && consequence.all);
  const opened = guarded("open", () => machine.liveupdate);
  if (refused) {
    if (!opened.error)
      fail(
        "machine",
        `${release} opens /dev/liveupdate, and ${refused.code} at ${refused.path} should forbid it`,
      );
    return;
  }
  if (opened.error) fail("machine", `${release} does not open /dev/liveupdate: ${opened.error.message}`);
  if (bad.some(({ consequence }) => consequence?.phase === "open")) return;
  for (const [s, session] of luo.sessions.entries())
    checkSession(machine, opened.value, session, s, decoded, departure);
}

function checkSession(
  machine: Machine,
  device: LiveUpdateDevice,
  { name, files }: Session,
  s: number,
  { findings }: Decoded,
  departure: Departure,
): void {
  const path = sessionPath(s);
  const retrieved = guarded("retrieve a session", () => device.retrieveSession(name));
  if (retrieved.error) fail("machine", `${path} cannot be retrieved: ${retrieved.error.message}`);
  let killed = false;
  for (const [f, file] of files.entries()) {
    const at = memfdPath(filePath(path, f));
    const wrong = findings.filter((finding) => finding.path.startsWith(at));
    killed ||= checkFile(machine, () => retrieved.value.retrieve(file.token), file, wrong, departure);
  }
  if (!killed && guarded("finish", () => retrieved.value.finish()).error)
    fail("machine", `${path} cannot be finished`);
}

/** Retrieves a file; true if the kernel killed the process for it. */
function checkFile(
  { init }: Machine,
  retrieve: () => number,
  { memfd, compatible }: File,
  wrong: readonly Finding[],
  { memory, hardware }: Departure,
): boolean {
  const result = guarded("retrieve a file", retrieve);
  const ends = wrong.filter(
    ({ consequence }) => consequence && ["refused", "panic"].includes(consequence.outcome),
  );
  if (result.error) {
    const { code, consequence, message } = result.error;
    if (
      !ends.some(
        (finding) =>
          finding.consequence!.outcome === (code === "refused" ? consequence!.outcome : "panic") &&
          (code !== "refused" ||
            consequence!.outcome !== "refused" ||
            finding.consequence!.errno === consequence!.errno),
      )
    )
      fail("machine", `a file is refused (${code}, ${consequence?.errno}: ${message}), and nothing says so`);
    return code !== "refused";
  }
  if (ends.length > 0)
    fail("machine", `a file is retrieved in spite of ${ends[0]!.code}: ${ends[0]!.message}`);
  if (compatible === plainHandler.compatible) return false;
  const file = init.file(result.value);
  if (!isMemfdFile(file) || !memfd) fail("machine", "a memfd is retrieved as something else");
  if (wrong.some(({ severity }) => severity !== "info")) return false;
  if (file.inode.size !== memfd.size) fail("machine", `a file of ${memfd.size} bytes has ${file.inode.size}`);
  if (file.pos !== memfd.pos) fail("machine", `the position ${memfd.pos} became ${file.pos}`);
  if (memfd.size > readable) return false;
  const wanted = new Uint8Array(Number(memfd.size));
  const content = guarded("content", () => {
    for (const piece of memfdContent(memory, memfd, hardware.abi.pageSize))
      if (piece.kind === "data") wanted.set(piece.bytes, piece.offset);
  });
  if (content.error) return false;
  const at = firstDifference(wanted, read(file, wanted.length, 0n));
  if (at >= 0) fail("machine", `byte ${at} of a file differs`);
  return false;
}
