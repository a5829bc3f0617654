import { groups, type Options } from "./groups.js";
import type { Subject } from "./measure.js";

/**
 * The subjects that the names choose: all of a group that is called so, or those of any group that have the text in
 * their names. All where there are no names. `preparing` is told which group's input is made, which can take seconds.
 * Throws where a name chooses nothing.
 */
export async function* select(
  names: readonly string[],
  options: Options,
  preparing: (group: string) => void = () => {},
): AsyncGenerator<Subject> {
  if (names.length === 0) names = groups.map(({ name }) => name);
  for (const name of names) {
    const group = groups.find((group) => group.name === name);
    let found = 0;
    for (const { name: of, subjects } of group ? [group] : groups) {
      preparing(of);
      for (const subject of await subjects(options)) {
        if (!group && !subject.name.includes(name)) continue;
        found++;
        yield subject;
      }
    }
    if (found === 0)
      throw new Error(
        `no subject is called ${JSON.stringify(name)}; there are the groups ${groups.map(({ name }) => name).join(", ")}`,
      );
  }
}
