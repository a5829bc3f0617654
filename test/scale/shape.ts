/**
 * Where the folios of a file are in memory, as arithmetic: any stretch of a list of hundreds of millions of entries can be
 * worked out by itself, so that a host of any size needs no room. The oracle of all tests of this folder.
 */

/** How a file of `folios` folios lies in memory. Powers of two, but for `mean`, which may be infinite. */
export interface Shape {
  readonly folios: number;
  /** Order of every folio. */
  readonly order: number;
  /** Folios that lie side by side on average; 1 has every second folio of memory, infinity one run. */
  readonly mean: number;
}

/** Folios of a file that are side by side in file and memory. */
export interface Run {
  /** First folio: of the file, and of its memory, counted in folios. */
  readonly folio: number;
  readonly place: number;
  readonly count: number;
}

/** Geometry of a shape. Numbers are folios unless said otherwise. */
export interface Geometry {
  /** What the file's memory spans, gaps included. */
  readonly span: number;
  /** Runs of the file. */
  readonly runs: number;
  /** The run that holds a folio, from that folio on. */
  runAt(folio: number): Run;
  /** All runs in the order of memory. Nothing of them touches. */
  byPlace(): Generator<Run>;
}

/**
 * A file is cut into groups of twice the mean, a group into two runs whose lengths are by chance. In memory groups lie in
 * another order, and the two runs of one as well, with a gap behind each run.
 */
export function geometryOf({ folios, mean }: Shape): Geometry {
  const pair = mean > 1 && mean < folios;
  const group = mean >= folios ? folios : mean > 1 ? 2 * mean : 1;
  const groups = folios / group;
  const stride = group + (pair ? 2 : 1);
  const order = newOrder(groups);
  /** Folios of the first run of group `g`, 1 to `group - 1`; all of them where there is no second one. */
  const firstOf = (g: number): number => (pair ? 1 + (scramble(g) % (group - 1)) : group);
  const runsOf = (g: number): [Run, Run] => {
    const first = firstOf(g);
    const folio = g * group;
    const place = order.to(g) * stride;
    return [
      { folio, place: place + (pair ? group - first + 1 : 0), count: first },
      { folio: folio + first, place, count: group - first },
    ];
  };
  return {
    span: groups * stride,
    runs: pair ? 2 * groups : groups,
    runAt(folio) {
      const g = Math.floor(folio / group);
      const into = folio - g * group;
      const [first, second] = runsOf(g);
      const run = into < first.count ? first : second;
      const skip = folio - run.folio;
      return { folio, place: run.place + skip, count: run.count - skip };
    },
    *byPlace() {
      for (let place = 0; place < groups; place++) {
        const [first, second] = runsOf(order.from(place));
        if (second.count > 0) yield second;
        yield first;
      }
    },
  };
}

/** A permutation of `[0, count)`, a power of two, that leaves no neighbours side by side where there are enough. */
export function newOrder(count: number): { to(i: number): number; from(i: number): number } {
  const factor = 5;
  let inverse = 1;
  // Newton's step doubles the bits that are right. Factors below 2^21 keep products below 2^53.
  for (let step = 0; step < 6; step++)
    inverse = Number(
      BigInt.asUintN(Math.log2(count), BigInt(inverse) * (2n - BigInt(factor) * BigInt(inverse))),
    );
  return {
    to: (i) => (i * factor) % count,
    from: (i) => Number((BigInt(i) * BigInt(inverse)) % BigInt(count)),
  };
}

/** A number of 31 bits by chance, always the same for `n`. */
function scramble(n: number): number {
  let x = Math.imul(n ^ (n >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  return (x ^ (x >>> 16)) & 0x7fffffff;
}
