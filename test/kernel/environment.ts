import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";

/** Kernels to try, or what is missing for that. */
export interface Environment {
  /** Folder with `accept.py` and one folder per release. */
  readonly kernels: string;
  /** Names of the folders that have a `bzImage`, oldest release first: `7.1.13`. */
  readonly releases: readonly string[];
  /** What there is to install or to set; empty if everything is here. */
  readonly missing: readonly string[];
}

/** Looks for emulator, Python and kernels. */
export function findEnvironment(): Environment {
  const missing: string[] = [];
  const runs = (command: string): boolean => spawnSync(command, ["--version"]).status === 0;
  if (!runs("qemu-system-x86_64")) missing.push("qemu-system-x86_64: apt-get install qemu-system-x86");
  if (!runs("python3")) missing.push("python3: apt-get install python3");
  const kernels = process.env.KHO_KERNELS ? resolve(process.env.KHO_KERNELS) : "";
  if (kernels === "" || !existsSync(`${kernels}/accept.py`)) {
    missing.push("kernels: a folder with accept.py and RELEASE/bzImage, named by KHO_KERNELS");
    return { kernels, releases: [], missing };
  }
  const releases = readdirSync(kernels)
    .filter((name) => existsSync(`${kernels}/${name}/bzImage`))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  if (releases.length === 0) missing.push(`kernels: RELEASE/bzImage in ${kernels}`);
  return { kernels, releases, missing };
}
