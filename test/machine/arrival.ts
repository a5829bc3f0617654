import { encodeChosen } from "../../formats/kho/handoff-encode.js";
import { type Decoded, decodeHandover, parseMeta } from "../../src/handover/index.js";
import { openImage } from "../../src/image/node.js";
import { newHardware } from "../../src/machine/firmware.js";
import type { Departure } from "../../src/machine/index.js";
import { newRam } from "../../src/machine/ram.js";
import { pfnOf, physAddr } from "../../src/memory/index.js";
import type { Fixture } from "../conformance/truth.js";

/** The machine of a capture at the first instruction of the kernel that received it. What was not captured is rubbish. */
export function departureOf({ core, meta: text, truth }: Fixture): Required<Departure> {
  const image = openImage(core);
  const { pageSize, fdtPhys, fdtSize, scratchPhys, scratchSize, setupDataPhys } = parseMeta(text);
  const hardware = newHardware(BigInt(JSON.parse(text).ramSize), 1, pageSize!);
  const { abi, banks } = hardware;
  const memory = newRam({ ranges: banks, pageSize: abi.pageSize });
  for (const { pa, size } of banks) memory.poison(pfnOf(pa, abi.pageSize), Number(size) / abi.pageSize);
  for (const { pa, size } of image.memory.ranges) memory.write(pa, image.memory.read(pa, Number(size)));
  const handoff = {
    recordPa: physAddr(setupDataPhys ?? 0n),
    fdtPa: physAddr(fdtPhys!),
    fdtSize: fdtSize!,
    scratchPa: physAddr(scratchPhys!),
    scratchSize: scratchSize!,
  };
  // A capture of arm64 is without its machine's device tree. Scratch has room for another one.
  const tree = physAddr(BigInt(truth.scratchAreas[0]![0]));
  if (setupDataPhys === undefined) memory.write(tree, encodeChosen(handoff));
  const bootData = setupDataPhys === undefined ? tree : handoff.recordPa;
  return { hardware, memory, release: truth.kernelRelease, handoff, bootData };
}

/** Reads what a kernel left, as its successor would. */
export function decodeDeparture({ memory, bootData, release, hardware }: Departure): Decoded {
  const image = { kind: "raw", memory, arch: hardware.arch, findings: [] } as const;
  return decodeHandover(image, { handoff: bootData!, release, pageSize: hardware.abi.pageSize });
}
