/** The name of one of many: `{}` in it stands for the number. */
export const nameOf = (name: string, number: number): string => name.replaceAll("{}", String(number));

/** All names of `count` sessions; 0 is one. */
export const namesOf = ({ name, count }: { readonly name: string; readonly count: number }): string[] =>
  Array.from({ length: Math.max(1, count) }, (_, i) => nameOf(name, i));

/** They in words: `vm-0 to vm-63`. */
export const inWords = ({ name, count }: { readonly name: string; readonly count: number }): string => {
  const [first, last] = [nameOf(name, 0), nameOf(name, Math.max(1, count) - 1)];
  return first === last ? first : `${first} to ${last}`;
};
