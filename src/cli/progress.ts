import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { humanBytes } from "./text.js";

/** Tells how far a long step is. */
export interface Progress {
  /** Cheap enough to be called for every piece. `total` is 0 where it is not known. */
  update(phase: string, done: number, total: number): void;
  /** Takes the line away. */
  clear(): void;
}

/** What is counted in bytes; everything else is counted in things. */
const inBytes = new Set(["reading", "unpacking", "looking for the root", "comparing", "writing"]);

const quietMs = 1000;
const intervalMs = 100;
const barWidth = 24;

/**
 * A line on standard error that is rewritten at most every 100 ms, and only begins after a second: short work stays
 * quiet. Does nothing where standard error is not a terminal.
 */
export function newProgress(enabled = isatty(2) && process.env.TERM !== "dumb"): Progress {
  if (!enabled) return { update: () => {}, clear: () => {} };
  const began = performance.now();
  let phase = "";
  let phaseBegan = began;
  let drawn = 0;
  let shown = false;
  const put = (text: string): void => {
    try {
      writeSync(2, text);
    } catch {
      // Progress that nobody sees is no reason to stop.
    }
  };
  return {
    update(name, done, total) {
      const now = performance.now();
      if (name !== phase) {
        phase = name;
        phaseBegan = now;
      }
      if (now - began < quietMs || now - drawn < intervalMs) return;
      drawn = now;
      shown = true;
      const columns = process.stderr.columns || 80;
      put(`\r\x1b[2K${progressLine(name, done, total, (now - phaseBegan) / 1000).slice(0, columns - 1)}`);
    },
    clear() {
      if (shown) put("\r\x1b[2K");
      shown = false;
    },
  };
}

/** `looking for the root [#####-----]  43%  1.2 GiB/s  3 s left`. */
export function progressLine(phase: string, done: number, total: number, seconds: number): string {
  const bytes = inBytes.has(phase);
  const amount = (value: number): string => (bytes ? humanBytes(Math.round(value)) : `${Math.round(value)}`);
  const rate = seconds > 0 ? done / seconds : 0;
  const speed = rate > 0 ? `  ${amount(rate)}/s` : "";
  if (total <= 0) return `${phase}: ${amount(done)}${speed}`;
  const share = Math.min(done / total, 1);
  const filled = Math.round(share * barWidth);
  const left = rate > 0 ? Math.max(0, (total - done) / rate) : 0;
  const eta = seconds > 0.5 && left >= 1 ? `  ${duration(left)} left` : "";
  const bar = `[${"#".repeat(filled)}${"-".repeat(barWidth - filled)}]`;
  return `${phase} ${bar} ${String(Math.floor(share * 100)).padStart(3)}%${speed}${eta}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
