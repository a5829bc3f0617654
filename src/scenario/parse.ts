import { type DescMessage, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Scenario, ScenarioSchema } from "../gen/kho/v1/scenario_pb.js";
import type { KhoError } from "../report/error.js";
import { faultOfJson } from "../report/json.js";
import { checkScenario } from "./check.js";
import { malformed } from "./fault.js";

/**
 * Reads a scenario: protobuf JSON of `kho.v1.Scenario`. Fields that there are not are faults, so that a slip of the pen
 * does not go unnoticed, and so is what no machine could do.
 * @throws KhoError `scenario-malformed`, with the line and column of what is no JSON, or the path of what is no scenario
 */
export function parseScenario(text: string): Scenario {
  const json = parseJson(text);
  let scenario: Scenario;
  try {
    scenario = fromJson(ScenarioSchema, json, { ignoreUnknownFields: false });
  } catch (cause) {
    throw schemaFault(ScenarioSchema, json, "", cause);
  }
  checkScenario(scenario);
  return scenario;
}

function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    const fault = faultOfJson(text);
    if (!fault) throw malformed("", `the scenario is not JSON: ${(cause as Error).message}`, { cause });
    const { line, column, found } = fault;
    throw malformed(`line ${line}, column ${column}`, "the scenario is not JSON", {
      actual: found === "" ? "the end of the text" : found,
      cause,
    });
  }
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * The fault at the innermost message that has it. Protobuf says which message and field does not take what, but not which
 * of many: so each is tried on its own.
 */
function schemaFault(schema: DescMessage, json: JsonValue, path: string, cause: unknown): KhoError {
  if (!isObject(json))
    return malformed(path, `this is no ${schema.name}`, {
      expected: "an object",
      actual: JSON.stringify(json).slice(0, 40),
      cause,
    });
  const inside = (part: string): string => (path === "" ? part : `${path}.${part}`);
  for (const field of schema.fields) {
    const value = json[field.jsonName];
    if (!field.message || value === undefined || value === null) continue;
    const items: [string, JsonValue][] = !Array.isArray(value)
      ? [[inside(field.jsonName), value]]
      : value.map((item, i) => [`${inside(field.jsonName)}[${i}]`, item]);
    for (const [at, item] of items) {
      const fault = faultOf(field.message, item);
      if (fault !== undefined) return schemaFault(field.message, item, at, fault);
    }
  }
  // "cannot decode field kho.v1.ScenarioSessions.count from JSON: expected number (uint32), got true"
  const [, name, message = ""] =
    /^cannot decode (?:field [\w.]*\.(\w+)|.*?) from JSON: (.*)$/s.exec((cause as Error).message) ?? [];
  const field = schema.fields.find((candidate) => candidate.name === name);
  if (field) return malformed(inside(field.jsonName), message, { cause });
  const expected = schema.fields.map(({ jsonName }) => jsonName).join(", ");
  return malformed(path, message === "" ? (cause as Error).message : message, { expected, cause });
}

function faultOf(schema: DescMessage, json: JsonValue): unknown {
  try {
    fromJson(schema, json, { ignoreUnknownFields: false });
    return undefined;
  } catch (error) {
    return error;
  }
}
