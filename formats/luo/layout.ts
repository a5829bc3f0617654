import { chars, pa, struct, u64 } from "../../src/layout/index.js";

const source = { header: "include/linux/kho/abi/luo.h", since: "6.19" };

/** Root of live-update state as 7.2 and later hand it over. The members behind `compatible` would move with its length. */
export const luoSer = struct(
  "luo_ser",
  { compatible: chars(8), liveupdate_num: u64, sessions_pa: pa, flbs_pa: pa },
  { ...source, since: "7.2" },
);

/** The root structure of development kernels with `luo-v2`, which their tree's `luo-abi-header` points to. */
export const luoSerV2 = struct(
  "luo_ser",
  { liveupdate_num: u64, sessions_pa: pa, flbs_pa: pa },
  { ...source, since: "7.2 development", until: "7.2 development" },
);

/** Where a session's files are: the file area (6.19 to 7.1) or the first block of files (7.2 and later), 0 for none. */
export const luoFileSetSer = struct("luo_file_set_ser", { files: pa, count: u64 }, source);

/** A session. `name` has at most 63 bytes and a NUL. */
export const luoSessionSer = struct(
  "luo_session_ser",
  { name: chars(64), file_set_ser: luoFileSetSer },
  source,
);

/** Head of the session area of 6.19 to 7.1; `count` sessions follow. */
export const luoSessionHeaderSer = struct(
  "luo_session_header_ser",
  { count: u64 },
  { ...source, until: "7.1" },
);

/** A preserved file. `data` belongs to the handler that `compatible` names, `token` to user space. */
export const luoFileSer = struct("luo_file_ser", { compatible: chars(48), data: u64, token: u64 }, source);

/** Head of the FLB page; `count` entries follow. */
export const luoFlbHeaderSer = struct(
  "luo_flb_header_ser",
  { pgcnt: u64, count: u64 },
  { ...source, since: "7.0" },
);

/** An object shared by all files of a handler; `count` is its reference count when it was serialized. */
export const luoFlbSer = struct(
  "luo_flb_ser",
  { name: chars(48), data: u64, count: u64 },
  { ...source, since: "7.0" },
);
