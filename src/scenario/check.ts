/** What protobuf does not say of a scenario, but no machine could do otherwise. */
import { kernelOf } from "../../formats/kernels.js";
import type {
  Scenario,
  ScenarioFault,
  ScenarioFile,
  ScenarioKernel,
  ScenarioRegion,
  ScenarioSessions,
  ScenarioStep,
} from "../gen/kho/v1/scenario_pb.js";
import { bytesFromText } from "../layout/index.js";
import { errnos, type Outcome } from "../machine/index.js";
import { malformed, within } from "./fault.js";
import { nameOf } from "./names.js";

const outcomes: readonly Outcome["kind"][] = ["cold", "ignored", "panic", "received"];
const arrivals = ["fresh", "revived", "spoilt"];

/** Most sessions, and most files, that all steps of a scenario make together. */
const most = 2 ** 20;
/** What the calls of /dev/liveupdate have room for. */
const longestName = 64;
/** RESERVE_MEM_NAME_SIZE, with its NUL. */
const regionName = 16;

/** @throws KhoError `scenario-malformed` */
export function checkScenario({ kernels, machine }: Scenario): void {
  if (kernels.length === 0) throw malformed("kernels", "the scenario has no kernels");
  const made: Made = { pageSize: machine?.pageSize || 4096, sessions: 0, files: 0 };
  for (const [k, kernel] of kernels.entries()) {
    checkKernel(kernel, `kernels[${k}]`, made);
    if (kernel.outcome === "panic" && k < kernels.length - 1)
      throw malformed(`kernels[${k + 1}]`, "no kernel comes after one that is to panic");
  }
}

/** What was counted so far, and what it is counted in. */
interface Made {
  readonly pageSize: number;
  sessions: number;
  files: number;
}

function checkKernel(kernel: ScenarioKernel, path: string, made: Made): void {
  within(`${path}.release`, () => kernelOf(kernel.release));
  oneOf(`${path}.outcome`, kernel.outcome, outcomes);
  for (const [r, region] of kernel.reserveMem.entries()) {
    const at = `${path}.reserveMem[${r}]`;
    checkRegion(region, at);
    if (kernel.reserveMem.findIndex(({ name }) => name === region.name) < r)
      throw malformed(`${at}.name`, "there are two regions of this name", { actual: region.name });
  }
  for (const [s, step] of kernel.steps.entries()) checkStep(step, `${path}.steps[${s}]`, made);
}

function oneOf(path: string, value: string, values: readonly string[]): void {
  if (value === "" || values.includes(value)) return;
  throw malformed(path, "this word means nothing here", { expected: values.join(", "), actual: value });
}

function checkRegion({ name, size, align, arrives }: ScenarioRegion, path: string): void {
  oneOf(`${path}.arrives`, arrives, arrivals);
  const length = bytesFromText(name).length;
  if (length === 0 || length >= regionName)
    throw malformed(`${path}.name`, "a region's name has 1 to 15 bytes", { actual: `${length} bytes` });
  if (size === 0n) throw malformed(`${path}.size`, "a region has at least one byte");
  if ((align & (align - 1n)) !== 0n)
    throw malformed(`${path}.align`, "an alignment is a power of two", { actual: String(align) });
}

function checkStep({ action, refused }: ScenarioStep, path: string, made: Made): void {
  errno(`${path}.refused`, refused);
  switch (action.case) {
    case "sessions":
      checkSessions(action.value, `${path}.sessions`, made);
      break;
    case "retrieve":
      checkName(`${path}.retrieve`, action.value);
      break;
    case "fault":
      checkFault(action.value, `${path}.fault`);
      break;
    case "reboot":
      if (refused !== "") break;
      throw malformed(path, "a reboot that goes well belongs behind the steps, where there is one anyway", {
        expected: "the errno that it is to be refused with",
      });
    case undefined:
      throw malformed(path, "the step has no action", {
        expected: "sessions, retrieve, exit, reboot, fault or finalize",
      });
  }
}

function errno(path: string, name: string): void {
  if (name === "" || Object.hasOwn(errnos, name)) return;
  throw malformed(path, "this is no errno that a call of the machine returns", {
    expected: Object.keys(errnos).join(", "),
    actual: name,
  });
}

function checkName(path: string, { name, count }: { name: string; count: number }): void {
  const length = bytesFromText(nameOf(name, Math.max(1, count) - 1)).length;
  if (length <= longestName) return;
  throw malformed(`${path}.name`, "no call has room for this name", {
    expected: `at most ${longestName} bytes`,
    actual: `${length} bytes`,
  });
}

function checkSessions(spec: ScenarioSessions, path: string, made: Made): void {
  checkName(path, spec);
  const sessions = Math.max(1, spec.count);
  made.sessions += sessions;
  for (const [f, file] of spec.files.entries()) {
    made.files += sessions * Math.max(1, file.count);
    checkFile(file, `${path}.files[${f}]`, made.pageSize);
  }
  if (Math.max(made.sessions, made.files) > most)
    throw malformed(path, `a scenario makes at most ${most} sessions and ${most} files`);
}

function checkFile(file: ScenarioFile, path: string, pageSize: number): void {
  const { token, count, size, text, pattern } = file;
  if (token + BigInt(Math.max(1, count)) > 1n << 64n)
    throw malformed(`${path}.count`, "the last of these tokens does not fit into 64 bits");
  const length = BigInt(bytesFromText(text).length);
  if (size !== 0n && length > size)
    throw malformed(`${path}.text`, "the text is longer than the file", {
      expected: `at most ${size} bytes`,
      actual: `${length} bytes`,
    });
  const pages = ((size === 0n ? length : size) + BigInt(pageSize) - 1n) / BigInt(pageSize);
  for (const [p, range] of pattern.entries())
    if (range.index + range.count > pages || range.index >= pages)
      throw malformed(`${path}.pattern[${p}]`, "the pattern reaches beyond the end of the file", {
        expected: `pages below ${pages}`,
      });
}

function checkFault({ session, allocation, errno: name }: ScenarioFault, path: string): void {
  errno(`${path}.errno`, name);
  if ((session === "") === (allocation === "") || (allocation !== "" && name !== ""))
    throw malformed(path, "a fault is that of one freeze or of allocations", {
      expected: "a session, a token and an errno, or an allocation",
    });
}
