import { sizeOf } from "../../../src/layout/index.js";
import { type DeviceEntry, devicePath, type OpenUnit } from "../device.js";
import { iommuAbi, unpackWord } from "../entry.js";
import { newFrameSet } from "../frames.js";
import { deviceOf, pasidOf, pasidsOf, plainRequests } from "./context.js";
import { contextOf, contextsOf, type Directory, deviceDirectory } from "./directory.js";
import { type Guess, guessContext, guessContexts } from "./guess.js";
import { type DeviceContext, riscvCapabilities, riscvIommuDc, riscvIommuDcBase } from "./layout.js";
import { newPageReader } from "./pages.js";
import { rootOf, rootPath } from "./root.js";

/**
 * Reads the device directory that `ddtp` names. `cfg` is the register `capabilities`: without it the size of contexts is
 * worked out from what they say.
 */
export const openRiscv: OpenUnit = (ctx, root) => {
  const tables = newFrameSet();
  const where = rootOf(ctx, root.root);
  if (where.kind !== "directory") {
    const { kind } = where;
    return {
      summary: kind === "blocked" ? "off: nothing is let through" : "bare: addresses are taken as they are",
      tables,
      devices: () => [],
      device: (device, pasid) => ({
        device,
        ...(pasid !== undefined && { pasid }),
        kind,
        words: [],
        path: devicePath(device, pasid),
      }),
    };
  }

  const { pa, levels } = where;
  const capabilities = root.cfg === undefined ? undefined : unpackWord(riscvCapabilities, root.cfg);
  const base = deviceDirectory(pa, levels, riscvIommuDcBase);
  const extended = deviceDirectory(pa, levels, riscvIommuDc);
  /** Known from the register, or once all contexts were looked at. */
  let known = capabilities && (capabilities.MSI_FLAT ? extended : base);

  const told = new Set<string>();
  const take = ({ directory, why }: Guess, path: string): Directory => {
    const name = directory === base ? "base" : "extended";
    const size = sizeOf(directory.context, iommuAbi);
    const message = `device contexts are taken for ${name} ones of ${size} bytes: ${why}`;
    if (!told.has(message)) ctx.report("info", "iommu-mode-guessed", message, { path, pa });
    told.add(message);
    return directory;
  };

  function* entries(directory: Directory): Generator<DeviceEntry> {
    const pages = newPageReader(ctx, tables);
    for (const found of contextsOf(pages, directory, rootPath)) {
      const device = deviceOf(pages, found, capabilities);
      if (isUnused(device.dc)) continue;
      yield plainRequests(pages, device, capabilities);
      yield* pasidsOf(pages, device, capabilities);
    }
  }

  return {
    get summary() {
      const size = known === undefined ? "" : `, ${known === base ? "base" : "extended"} contexts`;
      return `${["one", "two", "three"][levels - 1]}-level device directory${size}`;
    },
    tables,
    *devices() {
      const { maxRecords, maxTables } = ctx.limits;
      known ??= take(guessContexts(ctx.memory, base, extended, maxTables), rootPath);
      let count = 0;
      for (const entry of entries(known)) {
        if (count++ === maxRecords) {
          const most = `the unit has more than ${maxRecords} devices and PASIDs`;
          ctx.report("error", "limit-exceeded", most, { path: rootPath, pa });
          return;
        }
        yield entry;
      }
    },
    device(id, pasid) {
      const directory = known ?? take(guessContext(ctx, base, extended, id), devicePath(id));
      const pages = newPageReader(ctx, tables);
      const found = contextOf(pages, directory, id, rootPath);
      if (!found) return undefined;
      const device = deviceOf(pages, found, capabilities);
      return pasid === undefined
        ? plainRequests(pages, device, capabilities)
        : pasidOf(pages, device, pasid, capabilities);
    },
  };
};

/** True for a context as drivers leave it that never was attached to: up to 7.0 SADE is set beforehand. */
const isUnused = (dc: DeviceContext): boolean =>
  Object.entries(dc).every(([name, value]) => name === "SADE" || BigInt(value) === 0n);
