import { decodeVmalloc, vmallocPages } from "../formats/kho/vmalloc.js";
import { memfdLuoFolioSer, memfdLuoSerV2 } from "../formats/memfd/layout.js";
import { physAddr } from "../src/index.js";
import { columns, decode, rows, sizeOf } from "../src/layout/index.js";
import { type Capture, captureName } from "./capture.js";
import type { Subject } from "./measure.js";

/** The folio lists of all files of the capture, one behind the other. */
export function foliosSubject(capture: Capture): Subject {
  const bytes = folioLists(capture);
  const { abi } = capture.newContext();
  const size = sizeOf(memfdLuoFolioSer, abi);
  const count = bytes.length / size;

  /** To three arrays of doubles in one pass. */
  const plain = (): number => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const pfn = new Float64Array(count);
    const flags = new Float64Array(count);
    const index = new Float64Array(count);
    for (let i = 0, at = 0; i < count; i++, at += 16) {
      const low = view.getUint32(at, true);
      const high = view.getUint32(at + 4, true);
      pfn[i] = (high & 0xfffff) * 2 ** 32 + low;
      flags[i] = high >>> 20;
      index[i] = view.getUint32(at + 12, true) * 2 ** 32 + view.getUint32(at + 8, true);
    }
    return sumOf(pfn, flags, index);
  };
  const inColumns = (): number => {
    const { pfn, flags, index } = columns(memfdLuoFolioSer, bytes, 0, count, ["pfn", "flags", "index"], abi);
    return sumOf(pfn, flags, index);
  };
  const inRows = (): number => {
    const records = rows(memfdLuoFolioSer, bytes, 0, count, abi);
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const { pfn, flags, index } = records.row(i);
      sum += Number(pfn) + Number(flags) + Number(index);
    }
    return sum;
  };
  const asObjects = (): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const { pfn, flags, index } = decode(memfdLuoFolioSer, bytes, i * size, abi);
      sum += Number(pfn) + Number(flags) + Number(index);
    }
    return sum;
  };

  return {
    name: `memfd folio lists: ${count} records of ${size} bytes (${captureName})`,
    sameResult: true,
    baseline: { name: "plain loop over a DataView, no checks", run: plain },
    contenders: [
      { name: "columns", run: inColumns },
      { name: "rows, read lazily", run: inRows },
      { name: "decode, an object for each", run: asObjects },
    ],
  };
}

function sumOf(...all: ArrayLike<number>[]): number {
  let sum = 0;
  for (const column of all) for (let i = 0; i < column.length; i++) sum += column[i]!;
  return sum;
}

function folioLists({ image, decoded, newContext }: Capture): Uint8Array {
  const ctx = newContext();
  const lists: Uint8Array[] = [];
  for (const file of decoded.handover.luo!.sessions.flatMap((session) => session.files)) {
    if (!file.memfd || file.memfd.nrFolios === 0n) continue;
    const header = decode(
      memfdLuoSerV2,
      image.memory.read(physAddr(file.data), sizeOf(memfdLuoSerV2, ctx.abi)),
      0,
      ctx.abi,
    );
    const length = Number(header.nr_folios) * sizeOf(memfdLuoFolioSer, ctx.abi);
    const area = decodeVmalloc(ctx, header.folios, "folios");
    for (const { bytes } of vmallocPages(ctx, area, length, "folios")) lists.push(bytes);
  }
  const joined = new Uint8Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of lists) {
    joined.set(list, at);
    at += list.length;
  }
  return joined;
}
