/** What a kernel does with a handover, as far as a program on it, and whoever reads its log, can tell. */

/** How one call ended: well, with the name of an errno, or with the death of whoever called. */
export type CallResult = "fine" | "oops" | (string & {});

/** What became of the handover at boot. */
export type Boot =
  | { readonly kind: "received" }
  /** Booted as if cold. */
  | { readonly kind: "ignored" }
  /** A panic that gives an errno, or, without one, whatever else ends a boot: an oops, no memory, an endless loop. */
  | { readonly kind: "stops"; readonly errno?: string };

export interface FlbResult {
  readonly name: string;
  /** The module that registered it was given what was handed over. */
  readonly found: boolean;
  /** Its last file was finished, and it was told so. */
  readonly finished: boolean;
}

export interface FileResult {
  readonly token: bigint;
  readonly result: CallResult;
  /** Of a file that was retrieved. Size and position in bytes, as unsigned numbers of 64 bits. */
  readonly file?: {
    readonly size: bigint;
    readonly pos: bigint;
    /** F_SEAL_* bits. */
    readonly seals: number;
    /** Each page of the file that was planned: it begins with so many words of its pattern, the rest is zeros; or it is something else. */
    readonly pages: readonly (number | "other")[];
  };
}

export interface SessionResult {
  readonly name: string;
  readonly result: CallResult;
  readonly files: readonly FileResult[];
  /** Of a session that was retrieved; absent if that was not reached. */
  readonly finish?: CallResult;
}

export interface Outcome {
  readonly boot: Boot;
  /** The kernel took over what its predecessor says of itself. */
  readonly metadata: boolean;
  /** `reserve_mem=` regions that are the predecessor's, contents and all. */
  readonly revived: readonly string[];
  /** FLBs of the kernel's own test, where a release has FLBs and the boot got that far. */
  readonly flbs: readonly FlbResult[];
  /** Of /dev/liveupdate: EIO for user space, and the errno that the kernel logs. Absent if it was not reached. */
  readonly open?: CallResult;
  /** As asked for, up to the first oops. */
  readonly sessions: readonly SessionResult[];
  /** The kernel logged a warning or a bug. */
  readonly warns: boolean;
}
