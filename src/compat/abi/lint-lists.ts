import {
  type LiveupdateFeature,
  liveupdateFeatureEntry,
  liveupdateVersion,
} from "../../../formats/proposed/versions-section.js";
import { hex } from "../../report/hex.js";
import type { AbiClaim, AbiSide } from "./claim.js";

/**
 * What one image lists as its own and the other does not take, where both have the sections of a proposed series. Whether
 * a handover uses it is not known from images.
 */
export function* listedClaims(from: AbiSide, to: AbiSide): Generator<AbiClaim> {
  const sides = [from, to].map(({ name }) => ({ kernel: name }));
  if (from.versions && to.versions)
    for (const version of from.versions)
      if (!to.versions.includes(version))
        yield {
          rule: "not-taken",
          severity: "warning",
          struct: liveupdateVersion.name,
          member: version,
          message: `${to.name} does not list "${version}": what ${from.name} hands over under it is refused`,
          sides,
          members: [],
        };
  if (!from.features || !to.features) return;
  for (const feature of from.features) {
    const message = refusal(
      feature,
      to.features.find(({ name }) => name === feature.name),
      to.name,
    );
    if (message === undefined) continue;
    const struct = liveupdateFeatureEntry.name;
    yield { rule: "not-taken", severity: "error", struct, member: feature.name, message, sides, members: [] };
  }
}

/** The rule of the posting: a reader refuses what demands a bit that it does not know. */
function refusal(
  { name, req }: LiveupdateFeature,
  reader: LiveupdateFeature | undefined,
  kernel: string,
): string | undefined {
  if (!reader) return `${kernel} has no features of ${name}`;
  const unknown = req & ~reader.supp;
  return unknown === 0n
    ? undefined
    : `${kernel} does not know the bits ${hex(unknown)} of ${name}, which are required`;
}
