/** AMD's IOMMU, read from its device table on. */
import { endOfMemory, physAddr } from "../../../src/memory/index.js";
import { KhoError } from "../../../src/report/error.js";
import { hex } from "../../../src/report/hex.js";
import { type DeviceEntry, devicePath, type OpenUnit } from "../device.js";
import { addressOfFrame, frameLg2, reservedOf, unpackWord } from "../entry.js";
import { newFrameSet } from "../frames.js";
import { type Budget, newBudget } from "../structures.js";
import { deviceTable, pageEntries } from "./device-table.js";
import { type Dte, type Guest, newFormats, type Translation, translationOf } from "./dte.js";
import { newEncryption } from "./encryption.js";
import { type AddressSpace, addressSpaces, lookUp } from "./gcr3.js";
import { mmioDevTable } from "./layout.js";

const path = "root";
const pageBytes = 2 ** frameLg2;

/**
 * Opens an IOMMU by its device table base register. A size of 0 in it stands for one page in hardware, and for an unknown size
 * here, because an address alone looks the same: entries then count as long as they look like some.
 */
export const openAmd: OpenUnit = (ctx, { root, smeMask }) => {
  const { memory, report } = ctx;
  if (root <= 0n || root >= endOfMemory)
    throw new KhoError("iommu-root-malformed", `${hex(root)} is no device table base`, { path });
  const register = unpackWord(mmioDevTable, root);
  const encryption = newEncryption(ctx, smeMask);
  const reserved = root & reservedOf(mmioDevTable);
  if (reserved !== 0n)
    report("error", "iommu-reserved-bits", "the device table base has bits set that have to be zero", {
      path,
      expected: hex(root & ~reserved),
      actual: hex(root),
    });
  const base = encryption.root(addressOfFrame(register.DevTabBase), path);
  const pages = register.Size === 0 ? undefined : register.Size + 1;
  const isThere = Array.from({ length: pages ?? 1 }).some((_, page) =>
    memory.has(physAddr(base + BigInt(page * pageBytes)), pageBytes),
  );
  if (!isThere)
    throw new KhoError("iommu-root-malformed", `there is no memory where the device table is, ${hex(base)}`, {
      path,
      pa: base,
      length: (pages ?? 1) * pageBytes,
    });

  const tables = newFrameSet();
  const table = deviceTable(ctx, base, pages, tables);
  const reading = { ctx, encryption, tables };
  const formats = newFormats(encryption);
  const translation = (dte: Dte, at: string): Translation => translationOf(ctx, encryption, formats, dte, at);

  /** What requests without PASID go through, if it is not a v2 table. */
  const direct = (device: number, dte: Dte, host: Translation["host"]): DeviceEntry => {
    const kind = typeof host === "string" ? host : "table";
    return {
      device,
      kind,
      ...(dte.value.V === 1 && kind !== "blocked" && { domain: domainOf(dte) }),
      ...(typeof host !== "string" && { table: host }),
      words: [dte],
      path: devicePath(device),
    };
  };

  /** All address spaces of a device; the one of requests without PASID comes first. */
  function* spacesOf(device: number, dte: Dte, budget: Budget): Generator<DeviceEntry> {
    const { host, guest } = translation(dte, devicePath(device));
    if (!guest) {
      yield direct(device, dte, host);
      return;
    }
    let isMissing = true;
    if (!guest.takesAll) {
      yield direct(device, dte, host);
      isMissing = false;
    }
    for (const space of addressSpaces(reading, guest.gcr3, budget, (pasid) => devicePath(device, pasid))) {
      const { pasid } = space;
      // With GIOV, PASID 0 is what requests without one have: it is not listed again.
      if (isMissing)
        yield pasid === 0 ? translated(device, dte, guest, space) : direct(device, dte, "blocked");
      if (pasid > 0 || !guest.takesAll) yield translated(device, dte, guest, space, pasid);
      isMissing = false;
    }
    if (isMissing) yield direct(device, dte, "blocked");
  }

  return {
    summary: pages === undefined ? "device table" : `device table of ${pages * pageEntries} entries`,
    tables,
    *devices() {
      const budget = newBudget(ctx);
      for (const { device, dte } of table.used()) {
        if (!budget()) return;
        yield* spacesOf(device, dte, budget);
      }
    },
    device(device, pasid) {
      const dte = table.entry(device);
      if (!dte) return undefined;
      const at = devicePath(device, pasid);
      const { host, guest } = translation(dte, at);
      const wanted = pasid ?? (guest?.takesAll ? 0 : undefined);
      if (wanted === undefined) return direct(device, dte, host);
      const space = guest && lookUp(reading, guest.gcr3, wanted, at);
      if (guest && space) return translated(device, dte, guest, space, pasid);
      return pasid === undefined ? direct(device, dte, "blocked") : undefined;
    },
  };
};

const domainOf = ({ value }: Dte) => ({ name: "DomainID", id: value.DomainID });

/** What requests go through that have a v2 table. */
const translated = (
  device: number,
  dte: Dte,
  { gcr3, tableAt }: Guest,
  { root, words }: AddressSpace,
  pasid?: number,
): DeviceEntry => ({
  device,
  ...(pasid !== undefined && { pasid }),
  kind: gcr3.parent ? "nested" : "table",
  domain: domainOf(dte),
  table: tableAt(root),
  ...(gcr3.parent && { parent: gcr3.parent }),
  words: [dte, ...words],
  path: devicePath(device, pasid),
});
