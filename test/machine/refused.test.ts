/**
 * Calls that real kernels refused while the captures were made, as truth.json lists them: the machine refuses the same ones
 * with the same errnos. What each line stands for is what the program in those guests did.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { attempt, errnos, Machine } from "../../src/machine/index.js";
import { fixtures } from "../conformance/truth.js";

const errnoOf = (call: () => unknown): number => {
  const result = attempt(call);
  return "errno" in result ? errnos[result.errno] : 0;
};

function answers(release: string, pageSize: number): string[] {
  const machine = Machine.boot({ release, pageSize });
  const { liveupdate, init } = machine;
  const session = liveupdate.createSession("neg");
  const create = (name: string): number => errnoOf(() => liveupdate.createSession(name).close());
  const said = [
    `duplicate-session ${create("neg")}`,
    `name-64-bytes-unterminated ${create("x".repeat(64))}`,
    `empty-name ${create("")}`,
    `rootfs-file ${errnoOf(() => session.preserve(machine.memfd({ linked: true }), 1n))}`,
  ];
  const huge = machine.memfd({ huge: "hugetlb" });
  said.push(`hugetlb-memfd res ${errnoOf(() => session.preserve(huge, 2n))}`);
  const [a, b] = [machine.memfd({ size: 4096 }), machine.memfd({ size: 4096 })];
  said.push(`ok-memfd ${errnoOf(() => session.preserve(a, 3n))}`);
  said.push(`same-file-again-other-token ${errnoOf(() => session.preserve(a, 4n))}`);
  said.push(`same-token-other-file ${errnoOf(() => session.preserve(b, 3n))}`);
  session.close();
  const full = liveupdate.createSession("cap");
  let [files, errno] = [0, 0];
  for (; files < 300; files++) {
    const file = machine.memfd();
    errno = errnoOf(() => full.preserve(file, BigInt(1000 + files)));
    init.close(init.fds.at(-1)!);
    if (errno !== 0) break;
  }
  return [...said, `max-empty-files-per-session ${files} then ${errno}`];
}

const withRefusals = fixtures.filter(({ folder }) => refusedIn(folder).length > 0);

function refusedIn(folder: string): string[] {
  const truth = JSON.parse(readFileSync(`${folder}/truth.json`, "utf8")) as { refused?: string[] };
  // The number of the descriptor is the guest's own affair.
  return (truth.refused ?? []).map((line) => line.replace(/ fd \d+/, ""));
}

test.each(withRefusals)("$name", ({ folder, meta, truth }) => {
  const { pageSize } = JSON.parse(meta) as { pageSize: string };
  expect(answers(truth.kernelRelease, Number(pageSize))).toEqual(refusedIn(folder));
});

test("there are captures with refusals", () => {
  expect(withRefusals.length).toBeGreaterThanOrEqual(4);
});
