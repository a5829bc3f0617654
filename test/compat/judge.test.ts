/** What the judge says of handovers that are not as a kernel would make them, and of real ones. */
import { describe, expect, it } from "vitest";
import { khoKexecMetadata } from "../../formats/kho/layout.js";
import { KHO_METADATA_NODE_NAME } from "../../formats/kho/metadata.js";
import { luoFileSer, luoSessionSer } from "../../formats/luo/layout.js";
import { memfdLuoSerV2, seals as sealBits } from "../../formats/memfd/layout.js";
import { judge, judgeOf, type PartVerdict, type Verdict } from "../../src/compat/judge.js";
import { type FilePlan, preserve, written } from "../../src/compat/plan.js";
import { flb, memfd } from "../../src/compat/states/live-update.js";
import { departureIn } from "../../src/compat/states/state.js";
import { encode, memberOf, type Struct, u64 } from "../../src/layout/index.js";
import { type Departure, Machine } from "../../src/machine/index.js";
import { pfnOf, physAddr } from "../../src/memory/index.js";
import { fixtures } from "../conformance/truth.js";
import { departureOf } from "../machine/arrival.js";
import { decoded, depart } from "../machine/departures.js";

const abi = { byteOrder: "little", pageSize: 4096 } as const;
const page = 4096;

/** Kernel and program of a release with some files in a session `vm`. */
function withFiles(
  release: string,
  files: readonly FilePlan[],
  change?: (machine: Machine) => void,
): Departure {
  const machine = Machine.boot({ release });
  preserve(machine, [{ name: "vm", files }]);
  change?.(machine);
  return machine.leave();
}
const oneFile: FilePlan = { token: 7n, size: 3 * page, ranges: [written(0, 3)] };

/** The same with one member of a structure overwritten by a u64. */
function overwritten(
  departure: Departure,
  pa: bigint,
  layout: Struct,
  member: string,
  value: bigint,
): Departure {
  const memory = departure.memory.snapshot();
  const { offset } = memberOf(layout, member, abi);
  memory.write(physAddr(pa + BigInt(offset)), encode(u64, value, abi));
  return { ...departure, memory };
}

const partsOf = ({ parts }: Verdict): Record<string, PartVerdict["verdict"]> =>
  Object.fromEntries(parts.map(({ part, verdict }) => [part, verdict]));
const verdictOf = ({ verdict, detail }: Verdict): readonly [string, string] => [verdict, detail];

describe("what works", () => {
  it("is every part, each by its name", () => {
    expect(partsOf(judge(departureIn(flb, "7.3"), "7.2"))).toEqual({
      preserved: "works",
      "subtrees[LUO]": "works",
      "subtrees[kexec-metadata]": "works",
      "flbs[liveupdate-test-flb-v0]": "works",
      "flbs[liveupdate-test-flb-v1]": "works",
      "flbs[liveupdate-test-flb-v2]": "works",
      "sessions[vm]": "works",
      "sessions[vm].files[0]": "works",
      kexec_metadata: "works",
    });
  });

  it("is judged again and again from one departure", () => {
    const departure = departureIn(memfd, "7.2");
    const judgeFor = judgeOf(departure);
    const twice = ["7.3", "7.1", "7.3"].map((to) => judgeFor(to));
    expect(twice.map(({ verdict }) => verdict)).toEqual(["works", "ignored", "works"]);
    expect(twice[2]).toEqual(twice[0]);
    expect(judge(departure, "7.3")).toEqual(twice[0]);
  });

  it("does not apply where nothing is handed over", () => {
    const departure = Machine.boot({ release: "7.3", kho: false }).leave();
    expect(judge(departure, "7.3")).toEqual({
      verdict: "not-applicable",
      detail: "nothing is handed over",
      parts: [],
    });
  });
});

describe("a file", () => {
  const first = (departure: Departure) => decoded(departure).handover.luo!.sessions[0]!.files[0]!;
  const made = withFiles("7.3", [oneFile]);
  const changed = (member: string, value: bigint): Departure =>
    overwritten(made, first(made).data, memfdLuoSerV2, member, value);

  it("that its handler does not take is refused with the errno", () => {
    expect(verdictOf(judge(changed("seals", 0x40n), "7.3"))).toEqual([
      "refused",
      "sessions[vm].files[0]: retrieving memfd-v2 0x7 fails with EOPNOTSUPP: seals 0x40 contain unknown bits",
    ]);
  });

  it("whose position nobody can have loses it", () => {
    expect(verdictOf(judge(changed("pos", 2n ** 63n), "7.3"))).toEqual([
      "lossy",
      "sessions[vm].files[0]: pos: expected 9223372036854775808, got 0",
    ]);
  });

  it("that is sealed against execution alone comes back with more seals, in every release", () => {
    const seals = sealBits.F_SEAL_EXEC;
    const departure = withFiles("7.3", [{ ...oneFile, seals, executable: false }]);
    for (const to of ["7.2", "7.3"])
      expect(judge(departure, to).parts.find(({ part }) => part === "sessions[vm].files[0]")).toMatchObject({
        verdict: "works",
        detail: "seals: from 0x20 to 0x3e",
      });
  });

  it("whose structure is nowhere kills the caller", () => {
    const departure = overwritten(made, first(made).pa, luoFileSer, "data", 2n ** 50n);
    const { verdict, detail } = judge(departure, "7.3");
    expect(verdict).toBe("panic");
    expect(detail).toMatch(
      /^sessions\[vm\]\.files\[0\]: retrieving memfd-v2 0x7 runs into an unhandled fault/,
    );
  });

  it("of which one folio is not preserved is refused, and up to 7.0 comes back with holes", () => {
    const lose = (release: string): Departure =>
      withFiles(release, [oneFile], (machine) => {
        const { pfn } = machine.core.pages.holdings().find(({ owner }) => owner === "memfd")!;
        machine.kho.unpreserveFolio(pfn + 1, 0);
      });
    expect(partsOf(judge(lose("7.3"), "7.3"))["sessions[vm].files[0]"]).toBe("refused");
    const { verdict, detail } = judge(lose("7.0"), "7.0");
    expect(verdict).toBe("misread");
    expect(detail).toMatch(/files\[0\]: page 1 of its content: expected the page at 0x[0-9a-f]+, got a hole/);
  });

  it("with the token of another one cannot be asked for", () => {
    const two = withFiles("7.3", [oneFile, { ...oneFile, token: 8n, size: page }]);
    const second = decoded(two).handover.luo!.sessions[0]!.files[1]!;
    expect(verdictOf(judge(overwritten(two, second.pa, luoFileSer, "token", 7n), "7.3"))).toEqual([
      "lossy",
      "sessions[vm].files[1]: its token, 0x7, is that of files[0] and finds that",
    ]);
  });

  it("of a driver is one number, and the driver is taken to be there unless somebody knows", () => {
    // memfd-v2 becomes memfd-v9.
    const departure = overwritten(
      made,
      first(made).pa,
      luoFileSer,
      "compatible",
      new DataView(new TextEncoder().encode("memfd-v9").buffer).getBigUint64(0, true),
    );
    const part = judge(departure, "7.3").parts.find((one) => one.part === "sessions[vm].files[0]")!;
    expect(part).toMatchObject({
      verdict: "works",
      detail: expect.stringMatching(/^memfd-v9 is not looked into/),
    });
    const none = judge(departure, "7.3", { handlers: new Set() });
    expect(none.verdict).toBe("refused");
    expect(none.detail).toMatch(/^sessions\[vm\]: opening \/dev\/liveupdate fails with EIO: .*ENOENT/);
  });
});

describe("sessions", () => {
  it("of one name are all out of reach, with what the kernel logs", () => {
    const machine = Machine.boot({ release: "7.3" });
    preserve(machine, [
      { name: "vm", files: [] },
      { name: "mv", files: [oneFile] },
    ]);
    const departure = machine.leave();
    const [, second] = decoded(departure).handover.luo!.sessions;
    const same = overwritten(departure, second!.pa, luoSessionSer, "name", 0x6d76n);
    const verdict = judge(same, "7.3");
    expect(verdict.parts.filter(({ part }) => part.startsWith("sessions")).map((one) => one.verdict)).toEqual(
      ["refused", "refused"],
    );
    expect(verdict.detail).toMatch(/fails with EIO: .* \(LUO: two sessions are called vm\)$/);
  });
});

describe("what kernel code preserves", () => {
  it("is no longer there if the reader cannot count that far", () => {
    const machine = Machine.boot({ release: "7.1", memory: 8n << 30n });
    machine.memory.write(physAddr(2n ** 31n), Uint8Array.of(1, 2, 3));
    machine.kho.preserveFolio(2 ** 19, 19);
    expect(verdictOf(judge(machine.leave(), "7.1"))).toEqual([
      "misread",
      "preserved: the content of the preserved page at 0x80000000 has been overwritten",
    ]);
  });

  it("cannot be taken over if it is larger than what the page allocator knows, up to 7.0", () => {
    const machine = Machine.boot({ release: "7.0", liveupdate: false });
    machine.kho.preserveFolio(2 ** 13, 12);
    expect(verdictOf(judge(depart(machine), "6.19"))).toEqual([
      "lossy",
      "preserved: the block at 0x2000000 has order 12, and Linux 6.19 restores at most order 10",
    ]);
  });

  it("is lost with the root tree if that is not preserved itself", () => {
    const machine = Machine.boot({ release: "7.3", reserveMem: [{ name: "trace", size: 4 * page }] });
    const [root] = machine.core.pages.holdings().filter(({ owner }) => owner === "kho root");
    machine.kho.unpreserveFolio(root!.pfn, 0);
    const parts = partsOf(judge(machine.leave(), "7.3"));
    expect(parts).toMatchObject({ "reserve_mem[trace]": "lossy", "subtrees[memblock]": "refused" });
  });

  it("says of itself what the successor takes, or not", () => {
    const departure = departureIn(memfd, "7.3");
    const blob = decoded(departure).handover.subtrees.find(({ name }) => name === KHO_METADATA_NODE_NAME)!;
    const parts = partsOf(judge(overwritten(departure, blob.pa, khoKexecMetadata, "version", 9n), "7.3"));
    // A reader of its own release takes it no more than any other: nothing is expected of it.
    expect(Object.keys(parts)).not.toContain("kexec_metadata");
  });
});

describe("captures of real kernels", () => {
  it.each(fixtures.map((fixture) => [fixture.name, fixture] as const))("%s", (_, fixture) => {
    const departure = departureOf(fixture);
    const verdict = judge(departure, departure.release);
    expect(verdict.parts.filter((part) => part.verdict !== "works")).toEqual([]);
    const files = (fixture.truth.sessions ?? []).flatMap((session) => session.files);
    expect(verdict.parts.filter(({ part }) => part.includes(".files["))).toHaveLength(files.length);
  });

  it("without contents are judged by their structures, and say so", () => {
    const departure = departureOf(fixtures.find(({ name }) => name === "7.3-memfd")!);
    const { handover, structures } = decoded(departure);
    const held = new Set(
      structures.flatMap(({ pa, pages }) =>
        Array.from({ length: pages }, (__, i) => pfnOf(pa, handover.pageSize) + i),
      ),
    );
    // What is not there is something else.
    const memory = departure.memory.snapshot();
    const folios = handover.luo!.sessions.flatMap(({ files }) => files.map((file) => file.memfd!.folios));
    for (const { length, pfn, count, order } of folios)
      for (let run = 0; run < length; run++) memory.poison(pfn[run]!, count[run]! * 2 ** order[run]!);
    const verdict = judge({ ...departure, memory }, "7.3", { captured: (pfn) => held.has(pfn) });
    expect(verdict.verdict).toBe("works");
    const details = verdict.parts.filter(({ part }) => part.startsWith("sessions[one].files"));
    expect(details.map(({ detail }) => detail)).toEqual(["1 of its pages are not in the capture"]);
  });

  it("are ignored by kernels of other versions", () => {
    const departure = departureOf(fixtures.find(({ name }) => name === "6.18.15-resmem")!);
    const { verdict, reason, parts } = judge(departure, "7.1");
    expect([verdict, reason?.code, parts]).toEqual(["ignored", "compatible-mismatch", []]);
  });
});
