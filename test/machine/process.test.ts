import { expect, it } from "vitest";
import { putFile } from "../../src/machine/kernel.js";
import { newProcess } from "../../src/machine/process.js";
import { fakeKernel, outcome, toyFile } from "./luo-support.js";

const abi = { byteOrder: "little", pageSize: 4096 } as const;

it("gives the lowest free descriptor, also after gaps", () => {
  const process = newProcess({ abi });
  const fds = Array.from({ length: 5 }, (_, i) => process.install(toyFile(BigInt(i))));
  expect(fds).toEqual([0, 1, 2, 3, 4]);
  process.close(3);
  process.close(1);
  expect(process.fds).toEqual([0, 2, 4]);
  expect([process.dup(0), process.dup(0), process.dup(0)]).toEqual([1, 3, 5]);
  expect(process.file(1)).toBe(process.file(0));
});

it("has 1024 descriptors unless told otherwise", () => {
  const process = newProcess({ abi });
  const file = toyFile();
  process.install(file);
  for (let i = 1; i < 1024; i++) process.dup(0);
  expect(outcome(() => process.dup(0))).toBe("EMFILE");
  expect(outcome(() => process.openLiveUpdate())).toBe("ENOENT");
  expect(file.refs).toBe(1024);
  process.exit();
  expect(file.inode.released).toBe(true);
});

it("closes a file with its last descriptor, in whatever process", () => {
  const [one, two] = [newProcess({ abi }), newProcess({ abi, descriptors: 1 })];
  const file = toyFile();
  const fd = one.install(file);
  expect(one.pass(fd, two)).toBe(0);
  expect(outcome(() => one.pass(fd, two))).toBe("EMFILE");
  expect(file.refs).toBe(2);
  one.close(fd);
  expect(file.inode.released).toBe(false);
  two.exit();
  expect(file.inode.released).toBe(true);
});

it("an inode lives as long as any open file of it, or anything that holds one", () => {
  const process = newProcess({ abi });
  const file = toyFile();
  process.install(file);
  file.refs++;
  process.exit();
  expect(file.inode.released).toBe(false);
  putFile(file);
  expect(file.inode.released).toBe(true);
});

it("refuses descriptors that are not open", () => {
  const process = newProcess({ abi });
  for (const fd of [0, -1, 1.5, 2 ** 31])
    for (const call of [process.close, process.dup, process.file])
      expect(outcome(() => call(fd))).toBe("EBADF");
  expect(outcome(() => process.ioctl(0, 0xba00, undefined))).toBe("EBADF");
});

it("does nothing once it has exited", () => {
  const { process: newOne } = fakeKernel();
  const process = newOne();
  process.openLiveUpdate();
  process.exit();
  expect(process.alive).toBe(false);
  for (const call of [
    () => process.install(toyFile()),
    () => process.openLiveUpdate(),
    () => process.close(0),
  ])
    expect(call).toThrow(expect.objectContaining({ code: "machine-misuse" }));
  process.exit();
});

it("calls a session by its name", () => {
  const process = fakeKernel().process();
  const device = process.openLiveUpdate();
  const session = device.createSession("vm0");
  expect(process.file(session.fd).inode.type).toBe("[luo_session] vm0");
  expect(session.getName()).toBe("vm0");
});
