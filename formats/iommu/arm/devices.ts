import { type DeviceEntry, devicePath, type OpenUnit } from "../device.js";
import { newFrameSet } from "../frames.js";
import { isZero } from "../structures.js";
import { newFormatSource } from "./page-tables.js";
import { newReader, type StructureReader } from "./reader.js";
import { openStreamTable } from "./root.js";
import { judgeStream, plainRequests, substreamOf, substreamsOf } from "./stream.js";
import { streamOf, streamsOf } from "./stream-table.js";

/**
 * Reads an SMMUv3: `root` is STRTAB_BASE, `cfg` STRTAB_BASE_CFG. Without `cfg` the form of the stream table is worked out from
 * what is in it. Streams are devices, substreams are PASIDs. Tables of AArch32 and big-endian ones are not read: what goes
 * through them is listed as blocked, with a finding.
 * @throws KhoError `iommu-root-malformed`
 */
export const openSmmuv3: OpenUnit = (ctx, root) => {
  const table = openStreamTable(ctx, root);
  const tables = newFrameSet();
  const formats = newFormatSource();

  function* list(reader: StructureReader): Generator<DeviceEntry> {
    for (const found of streamsOf(reader, table, "devices")) {
      const stream = judgeStream(reader, found, formats);
      if (!reader.list()) return;
      yield plainRequests(reader, stream, formats);
      for (const entry of substreamsOf(reader, stream, formats)) {
        if (!reader.list()) return;
        yield entry;
      }
    }
  }

  const form = table.split === undefined ? "linear" : "two-level";
  return {
    summary: `${form} stream table, ${table.bits} bits`,
    tables,
    devices: () => list(newReader(ctx, tables)),
    device(sid, pasid) {
      const reader = newReader(ctx, tables);
      const found = streamOf(reader, table, sid, devicePath(sid));
      if (!found || isZero(found.words.at(-1)!.bytes)) return undefined;
      const stream = judgeStream(reader, found, formats);
      return pasid === undefined
        ? plainRequests(reader, stream, formats)
        : substreamOf(reader, stream, pasid, formats);
    },
  };
};
