/** System calls of live update with their arguments as bytes, by the tables of spec/luo-machine, section 3. */
import type { Process } from "../../../src/machine/index.js";

const request = (nr: number): number => 0xba00 | nr;
export const requests = {
  create: request(0x00),
  retrieveSession: request(0x01),
  preserve: request(0x40),
  retrieveFile: request(0x41),
  finish: request(0x42),
  getName: request(0x43),
} as const;

/** A session's name as a field of 64 bytes, one character per byte. */
export const nameField = (name: string): Uint8Array => {
  const field = new Uint8Array(64);
  field.set(Buffer.from(name, "latin1").subarray(0, 64));
  return field;
};

function argument(size: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, size, true);
  return { bytes, view };
}

/** CREATE_SESSION and RETRIEVE_SESSION; returns the descriptor. */
export function sessionCall(
  process: Process,
  device: number,
  call: "create" | "retrieveSession",
  name: string,
  readOnly = false,
): number {
  const { bytes, view } = argument(72);
  bytes.set(nameField(name), 8);
  process.ioctl(device, requests[call], bytes, readOnly);
  return view.getInt32(4, true);
}

export function preserveCall(
  process: Process,
  session: number,
  fd: number,
  token: bigint,
  readOnly = false,
): void {
  const { bytes, view } = argument(16);
  view.setInt32(4, fd, true);
  view.setBigUint64(8, token, true);
  process.ioctl(session, requests.preserve, bytes, readOnly);
}

export function retrieveCall(process: Process, session: number, token: bigint, readOnly = false): number {
  const { bytes, view } = argument(16);
  view.setBigUint64(8, token, true);
  process.ioctl(session, requests.retrieveFile, bytes, readOnly);
  return view.getInt32(4, true);
}

export function finishCall(process: Process, session: number, reserved: number, readOnly = false): void {
  const { bytes, view } = argument(8);
  view.setUint32(4, reserved, true);
  process.ioctl(session, requests.finish, bytes, readOnly);
}

export function getNameCall(process: Process, session: number, reserved: number, readOnly = false): string {
  const { bytes, view } = argument(72);
  view.setUint32(4, reserved, true);
  process.ioctl(session, requests.getName, bytes, readOnly);
  const name = Buffer.from(bytes.subarray(8)).toString("latin1");
  return name.slice(0, name.indexOf("\0"));
}
