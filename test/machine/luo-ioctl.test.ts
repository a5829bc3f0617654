/** The checks that all calls share, and what single calls add: behaviour of luo-machine, section 3. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kernelOf } from "../../formats/kernels.js";
import { resolve } from "../../src/layout/index.js";
import * as uapi from "../../src/machine/luo/uapi.js";
import { fakeKernel, from, outcome, releases, toyFile, toyHandler, until } from "./luo-support.js";

const abiFolder = new URL("../../fixtures/abi/", import.meta.url);
const calls = [
  uapi.LIVEUPDATE_IOCTL_CREATE_SESSION,
  uapi.LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
  uapi.LIVEUPDATE_SESSION_PRESERVE_FD,
  uapi.LIVEUPDATE_SESSION_RETRIEVE_FD,
  uapi.LIVEUPDATE_SESSION_FINISH,
  uapi.LIVEUPDATE_SESSION_GET_NAME,
] as unknown as uapi.Call[];

interface AbiFile {
  readonly kernelRelease: string;
  readonly pageSize: number;
  readonly structs: Record<
    string,
    { size: number; members: { name: string; offset: number; size: number }[] }
  >;
  readonly enums: Record<string, Record<string, number>>;
}

describe.each(readdirSync(abiFolder))("the calls of %s, against the kernel's debug data", (file) => {
  const { kernelRelease, pageSize, structs, enums } = JSON.parse(
    readFileSync(new URL(file, abiFolder), "utf8"),
  ) as AbiFile;
  const kernel = kernelOf(kernelRelease);
  const present = kernel.luo ? calls.filter((call) => uapi.hasCall(kernel, call)) : [];

  it("are all that there are", () => {
    const theirs = Object.keys(structs).filter((name) =>
      /^liveupdate_(ioctl_(create|retrieve)|session_)/.test(name),
    );
    expect(present.map(({ layout }) => layout.name).sort()).toEqual(theirs.sort());
  });

  it.each(present.map((call) => [call.layout.name, call] as const))("%s", (name, { request, layout }) => {
    const { members, size } = resolve(layout, { byteOrder: "little", pageSize });
    expect({ size, members: members.map(({ name, offset, size }) => ({ name, offset, size })) }).toEqual({
      size: structs[name]!.size,
      members: structs[name]!.members.map(({ name, offset, size }) => ({ name, offset, size })),
    });
    const command = `LIVEUPDATE_CMD_${name.replace(/^liveupdate_(ioctl_)?/, "").toUpperCase()}`;
    const numbers = Object.assign({}, ...Object.values(enums)) as Record<string, number>;
    expect(request).toBe(0xba00 + numbers[command]!);
  });
});

/** An argument: its size, then bytes. */
function arg(size: number, length = size, at: Record<number, number> = {}): Uint8Array {
  const bytes = new Uint8Array(length);
  if (length >= 4) new DataView(bytes.buffer).setUint32(0, size, true);
  for (const [offset, value] of Object.entries(at)) bytes[Number(offset)] = value;
  return bytes;
}
const named = { 8: 0x61 };

/** A device, an outgoing session and an incoming one. */
function descriptors(release: string) {
  const kernel = fakeKernel({
    release,
    incoming: {
      number: 1n,
      carrying: [],
      sessions: [{ name: "in", carrying: [], files: [{ compatible: "toy-v1", data: 5n, token: 5n }] }],
      flbs: [],
    },
  });
  kernel.luo.registerHandler(toyHandler([]));
  const process = kernel.process();
  const device = process.openLiveUpdate();
  const fd = {
    device: device.fd,
    out: device.createSession("out").fd,
    in: device.retrieveSession("in").fd,
    none: 99,
    file: process.install(toyFile(9n)),
  };
  return { kernel, process, fd };
}

type On = "device" | "out" | "in" | "none" | "file";
interface Row {
  readonly on: On;
  readonly request: number;
  readonly arg?: Uint8Array;
  readonly errno: string;
  readonly why: string;
  readonly releases?: readonly string[];
  readonly readOnly?: boolean;
}

const rows: Row[] = [
  // Step 1, before anything of the argument is read.
  { on: "device", request: 0xba02, errno: "EINVAL", why: "no such number on the device" },
  { on: "device", request: 0xba41, errno: "EINVAL", why: "a session's number on the device" },
  { on: "out", request: 0xba00, errno: "EINVAL", why: "the device's number on a session" },
  { on: "out", request: 0xba44, errno: "EINVAL", why: "no such number on a session" },
  {
    on: "out",
    request: 0xba43,
    arg: arg(72),
    errno: "EINVAL",
    why: "the name is not told yet",
    releases: until("7.2"),
  },
  { on: "device", request: 0x1234_ff02, errno: "EINVAL", why: "the number before the type" },
  // Step 2.
  { on: "device", request: 0xba00, errno: "EFAULT", why: "no argument" },
  { on: "device", request: 0xba00, arg: arg(0, 3), errno: "EFAULT", why: "half a size" },
  { on: "device", request: 0xbb00, errno: "EFAULT", why: "the size before the type" },
  // Step 3.
  { on: "device", request: 0xbb00, arg: arg(4), errno: "ENOTTY", why: "another type" },
  { on: "device", request: 0xc048_ba00, arg: arg(4), errno: "ENOTTY", why: "direction and size" },
  { on: "in", request: 0x40, arg: arg(4), errno: "ENOTTY", why: "the type before the kind of session" },
  // Step 4.
  {
    on: "in",
    request: 0xba40,
    arg: arg(99, 4),
    errno: "EINVAL",
    why: "preserving in an incoming session",
    releases: from("7.1"),
  },
  {
    on: "in",
    request: 0xba40,
    arg: arg(16),
    errno: "ok",
    why: "preserving anywhere",
    releases: until("7.1"),
  },
  {
    on: "out",
    request: 0xba41,
    arg: arg(99, 4),
    errno: "EINVAL",
    why: "retrieving from an outgoing one",
    releases: from("7.1"),
  },
  {
    on: "out",
    request: 0xba41,
    arg: arg(16),
    errno: "ENOENT",
    why: "retrieving anywhere",
    releases: until("7.1"),
  },
  {
    on: "out",
    request: 0xba42,
    arg: arg(99, 4),
    errno: "EINVAL",
    why: "finishing an outgoing one",
    releases: from("7.1"),
  },
  {
    on: "out",
    request: 0xba42,
    arg: arg(8),
    errno: "ok",
    why: "finishing anywhere",
    releases: until("7.1"),
  },
  // Step 5.
  { on: "device", request: 0xba00, arg: arg(71), errno: "EINVAL", why: "71 bytes of 72" },
  { on: "device", request: 0xba01, arg: arg(71), errno: "EINVAL", why: "71 bytes of 72" },
  { on: "out", request: 0xba40, arg: arg(15), errno: "EINVAL", why: "15 bytes of 16" },
  { on: "in", request: 0xba41, arg: arg(15), errno: "EINVAL", why: "15 bytes of 16" },
  { on: "in", request: 0xba42, arg: arg(7), errno: "EINVAL", why: "7 bytes of 8" },
  { on: "device", request: 0xba00, arg: arg(0, 72), errno: "EINVAL", why: "no size" },
  // Step 6.
  { on: "device", request: 0xba00, arg: arg(80, 80, { ...named, 79: 1 }), errno: "E2BIG", why: "surplus" },
  { on: "device", request: 0xba00, arg: arg(80, 80, named), errno: "ok", why: "surplus of zeros" },
  { on: "device", request: 0xba00, arg: arg(80, 76, named), errno: "EFAULT", why: "surplus unreadable" },
  {
    on: "device",
    request: 0xba00,
    arg: arg(80, 76, { ...named, 74: 1 }),
    errno: "E2BIG",
    why: "surplus found before its end",
  },
  { on: "device", request: 0xba00, arg: arg(72, 40, named), errno: "EFAULT", why: "name unreadable" },
  {
    on: "device",
    request: 0xba00,
    arg: arg(0xffff_ffff, 80, named),
    errno: "EFAULT",
    why: "4 GiB of argument",
  },
  // The calls' own.
  {
    on: "in",
    request: 0xba42,
    arg: arg(8, 8, { 4: 1 }),
    errno: "EINVAL",
    why: "reserved",
    releases: from("7.2"),
  },
  {
    on: "in",
    request: 0xba42,
    arg: arg(8, 8, { 4: 1 }),
    errno: "ok",
    why: "reserved is ignored",
    releases: until("7.2"),
  },
  {
    on: "in",
    request: 0xba43,
    arg: arg(72, 72, { 7: 1 }),
    errno: "EINVAL",
    why: "reserved",
    releases: from("7.2"),
  },
  { on: "in", request: 0xba43, arg: arg(72), errno: "ok", why: "the name", releases: from("7.2") },
  { on: "out", request: 0xba43, arg: arg(72), errno: "ok", why: "the name", releases: from("7.2") },
  // Not live update at all.
  { on: "none", request: 0xba00, arg: arg(72), errno: "EBADF", why: "a descriptor that is not open" },
  { on: "file", request: 0xba40, arg: arg(16), errno: "ENOTTY", why: "a file without calls" },
  // The way back.
  {
    on: "device",
    request: 0xba00,
    arg: arg(72, 72, named),
    readOnly: true,
    errno: "EFAULT",
    why: "the answer cannot be written",
  },
];

describe.each(releases)("Linux %s", (release) => {
  it.each(
    rows
      .filter((row) => (row.releases ?? releases).includes(release))
      .map((row) => [row.on, row.request.toString(16), row.why, row.errno, row] as const),
  )("on %s, %s: %s, %s", (_on, _request, _why, errno, row) => {
    const { process, fd } = descriptors(release);
    const bytes = row.arg?.slice();
    if (row.errno === "ok" && row.request === 0xba40) new DataView(bytes!.buffer).setInt32(4, fd.file, true);
    expect(outcome(() => process.ioctl(fd[row.on], row.request, bytes, row.readOnly))).toBe(errno);
  });

  it("results come back for no more than the kernel's size, and the rest is not touched", () => {
    const { process, fd } = descriptors(release);
    // 0xba00 with what stands behind the name's NUL, and surplus zeros behind the structure.
    const bytes = arg(76, 80, { ...named, 10: 0x7a, 77: 0x55 });
    const before = bytes.slice();
    const expected = process.fds.length;
    process.ioctl(fd.device, 0xba00, bytes);
    before.set([expected, 0, 0, 0], 4);
    expect([...bytes]).toEqual([...before]);
    expect(process.fds).toContain(expected);
  });

  it("a session whose answer cannot be written is torn down, and its descriptor is free", () => {
    const { kernel, process, fd } = descriptors(release);
    const before = process.fds;
    expect(outcome(() => process.ioctl(fd.device, 0xba00, arg(72, 72, named), true))).toBe("EFAULT");
    expect(process.fds).toEqual(before);
    expect(kernel.luo.sessions("outgoing").map(({ name }) => name)).toEqual(["out"]);
    process.ioctl(fd.device, 0xba00, arg(72, 72, named));
  });

  it("a preservation whose answer cannot be written stands", () => {
    const { kernel, process, fd } = descriptors(release);
    const bytes = arg(16, 16, { 4: fd.file, 8: 3 });
    expect(outcome(() => process.ioctl(fd.out, 0xba40, bytes, true))).toBe("EFAULT");
    expect(kernel.luo.sessions("outgoing")[0]!.files.map(({ token }) => token)).toEqual([3n]);
    expect(outcome(() => process.ioctl(fd.out, 0xba40, bytes))).toBe("EEXIST");
  });

  it("a retrieved file whose answer cannot be written can be retrieved again", () => {
    const { process, fd } = descriptors(release);
    const bytes = arg(16, 16, { 8: 5 });
    const before = process.fds;
    expect(outcome(() => process.ioctl(fd.in, 0xba41, bytes, true))).toBe("EFAULT");
    expect(process.fds).toEqual(before);
    process.ioctl(fd.in, 0xba41, bytes);
    expect(process.fds).toHaveLength(before.length + 1);
  });
});

describe.each(from("7.1"))("Linux %s, once serialized", (release) => {
  it("blocks every call that is well-formed, and still refuses the others", () => {
    const { kernel, process, fd } = descriptors(release);
    kernel.luo.serialize();
    const forEver = expect.objectContaining({
      code: "machine-misuse",
      message: expect.stringMatching(/blocks/),
    });
    expect(() => process.ioctl(fd.device, 0xba00, arg(72, 72, named))).toThrow(forEver);
    expect(() => process.ioctl(fd.in, 0xba42, arg(8))).toThrow(forEver);
    expect(() => process.close(fd.out)).toThrow(forEver);
    expect(() => kernel.luo.serialize()).toThrow(forEver);
    expect(outcome(() => process.ioctl(fd.device, 0xba00, arg(71)))).toBe("EINVAL");
  });
});

it.each(until("7.1"))("Linux %s does not block after serializing", (release) => {
  const { kernel, process, fd } = descriptors(release);
  kernel.luo.serialize();
  process.ioctl(fd.device, 0xba00, arg(72, 72, named));
  kernel.luo.serialize();
  expect(kernel.handedOver().luo.sessions.map(({ name }) => name)).toEqual(["out", "a"]);
});

it("numbers are in the byte order of the machine", () => {
  const { process, fd } = descriptors("7.3.4");
  const bytes = new Uint8Array(72);
  new DataView(bytes.buffer).setUint32(0, 72, false);
  bytes[8] = 0x61;
  // 72 read from the wrong end is more than a gigabyte.
  expect(outcome(() => process.ioctl(fd.device, 0xba00, bytes))).toBe("EFAULT");
});
