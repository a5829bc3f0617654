import {
  type Abi,
  decode,
  encodeInto,
  type Struct,
  sizeOf,
  type ValueOf,
} from "../../../src/layout/index.js";
import type { DriverName, IommuSeries } from "./series.js";
import type { DriverState, IntelDevice, IntelIommu, Smmuv3Device, Smmuv3Iommu } from "./state.js";
import { valueRange } from "./value-range.js";

/** The two kinds of records that end in a union, which the driver of the IOMMU fills. */
type Part = "iommu" | "device";
interface States {
  readonly iommu: DriverState<IntelIommu, Smmuv3Iommu>;
  readonly device: DriverState<IntelDevice, Smmuv3Device>;
}

/** What the state calls the members that the kernel's structures have, whatever the posting. */
const names = {
  intel: {
    registerBase: "phys_addr",
    rootTable: "root_table",
    contextTables: "context_tables_bitmap",
    pasidTable: "pasid_table",
    maxPasid: "max_pasid",
    restored: "restored",
  },
  smmuv3: {
    registerBase: "phys_addr",
    strtabBaseCfg: "strtab_base_cfg",
    l1StrtabState: "l1_strtab_lu_state",
    l2StrtabStates: "l2_strtab_lu_states_phys",
    l1CdtabState: "l1_cdtab_lu_state",
    numL2Cdtabs: "num_l2_cdtables",
    l2CdtabStates: "l2_cdtab_lu_states_phys",
  },
} as const satisfies Record<DriverName, Record<string, string>>;

/** A structure's members, by the state's names. */
const membersOf = (driver: DriverName, layout: Struct): [mine: string, theirs: string][] =>
  Object.entries(names[driver]).filter(([, theirs]) => theirs in layout.fields);

/**
 * What `driver` wrote to the union of a record. If it is not known who did, or what, that is the bytes as they are, and
 * nothing if they are zeros or if the series has no union.
 */
export function driverStateOf<P extends Part>(
  series: IommuSeries,
  part: P,
  driver: DriverName | undefined,
  union: Uint8Array | undefined,
  abi: Abi,
): States[P] {
  const layout: Struct | undefined = driver && series.drivers[driver]?.[part];
  if (!driver || !layout || !union) return union?.some((byte) => byte !== 0) ? { union: union.slice() } : {};
  const value: ValueOf<Struct> = decode(layout, union, 0, abi);
  const state = membersOf(driver, layout).map(([mine, theirs]) => [mine, value[theirs]]);
  return { [driver]: Object.fromEntries(state) } as States[P];
}

/**
 * The union of a record behind an IOMMU of `driver`, whose layout is `layout`; the inverse of {@link driverStateOf}. Zeros
 * take no driver's place: a reading kernel would run on them.
 * @throws KhoError `value-range` without the state of that driver, or with another's
 */
export function driverStateBytes<P extends Part>(
  series: IommuSeries,
  part: P,
  driver: DriverName | undefined,
  state: States[P],
  layout: Struct,
  abi: Abi,
): Uint8Array {
  const { union: room } = layout.fields;
  const bytes = new Uint8Array(room ? sizeOf(room, abi) : 0);
  const inner: Struct | undefined = driver && series.drivers[driver]?.[part];
  const wanted = inner ? `state of ${driver}` : `at most ${bytes.length} bytes`;
  const given = (["intel", "smmuv3", "union"] as const).filter((name) => state[name]);
  const wrong = given.find((name) => name !== (inner ? driver : "union"));
  if (wrong) throw valueRange(wrong, wanted, `state of ${wrong}`);
  if (driver && inner) {
    if (!state[driver]) throw valueRange(driver, wanted, "nothing");
    const members: Readonly<Record<string, unknown>> = { ...state[driver] };
    const value = membersOf(driver, inner).map(([mine, theirs]) => [theirs, members[mine]]);
    encodeInto(inner, Object.fromEntries(value) as ValueOf<Struct>, bytes, 0, abi);
  }
  if (!state.union) return bytes;
  if (state.union.length !== bytes.length)
    throw valueRange("union", `${bytes.length} bytes`, `${state.union.length} bytes`);
  return state.union;
}
