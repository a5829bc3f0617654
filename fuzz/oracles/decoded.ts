/** What holds for everything that decoding says, whatever the input. */
import { fail } from "../../src/fuzz/finding.js";
import type { Decoded } from "../../src/handover/index.js";
import { storedBytes } from "../../src/memory/index.js";
import { checkFinding, checkInterchange } from "../../test/hostile/endure.js";
import { asserted, guarded } from "./errors.js";
import type { Opened } from "./open.js";

/** Entries of lists that one page can be worth: a bit each of a bitmap, and some room for several views of a page. */
const perPage = 4 * 8 * 4096;

/** Fails for findings that cannot be shown, results that are larger than the input can be worth, and interchange forms that are damaged. */
export function checkDecoded({ image }: Opened, decoded: Decoded): void {
  const { handover, findings, structures } = decoded;
  asserted(() => findings.forEach(checkFinding));
  const { luo, preserved, scratch, subtrees } = handover;
  const files = luo?.sessions.flatMap((session) => session.files) ?? [];
  const rows =
    structures.length +
    subtrees.length +
    scratch.length +
    files.length +
    (luo?.sessions.length ?? 0) +
    (luo?.flbs.length ?? 0) +
    (preserved?.runs.length ?? 0) +
    files.reduce((sum, { memfd }) => sum + (memfd?.folios.length ?? 0), 0);
  const pages = Math.ceil(storedBytes(image.memory) / 4096) + image.memory.ranges.length;
  if (rows > perPage * (pages + 1)) fail("memory", `${rows} rows of ${pages} pages`);
  // A megabyte of text for every input is slow, and says nothing new.
  if (rows + findings.length < 2000) guarded("interchange", () => asserted(() => checkInterchange(decoded)));
}
