/** Code that instrumentation could change the meaning of. Each function is run plain and instrumented on the same numbers. */

const calls: string[] = [];
const said = <T>(what: string, value: T): T => {
  calls.push(what);
  return value;
};

class Base {
  readonly less = (a: number, b: number) => a < b;
  static readonly limit: number = [3].length < 2 ? 7 : 8;
  constructor(readonly size: number) {}
  get twice(): number {
    calls.push("twice");
    return this.size * 2;
  }
}

class Derived extends Base {
  readonly big: boolean;
  constructor(size: number, extra = size > 4 ? 1 : 0) {
    super(size + extra);
    this.big = this.twice >= Derived.limit;
  }
}

function* below(n: number): Generator<number, string> {
  for (let i = 0; i < n; i++) if ((yield i) === undefined && i === 6) return "six";
  return "done";
}

const even = (n: number): boolean => (n === 0 ? true : odd(n - 1));
const odd = (n: number): boolean => n !== 0 && even(n - 1);
/** Both operands run the function again. */
const tree = (n: number): number =>
  n < 2 ? n : tree(n - 1) > tree(n - 2) ? tree(n - 1) + 1 : tree(n - 2) + 2;

export const constructs: Readonly<Record<string, (n: number) => unknown>> = {
  order: (n) => said("a", n) < said("b", 5) || said("c", n) === said("d", 9) || said("e", false),
  conditional: (n) => (n > 3 ? (n > 5 ? "high" : "middle") : n === 0 ? null : "low"),
  objects: (n) => ({ n, same: n === 4, nested: n > 2 && { deep: n ?? 1 } }),
  arrow: (n) => [1, 5, 9].filter((x) => x >= n).map((x) => ({ x })),
  recursion: (n) => [even(n), odd(n), tree(n)],
  classes: (n) => {
    const made = new Derived(n);
    return [made.big, made.size, made.less(n, 4), Derived.limit];
  },
  generator: (n) => {
    const all = below(n);
    const seen: unknown[] = [];
    for (let next = all.next(); ; next = all.next()) {
      seen.push(next.value);
      if (next.done) return seen;
    }
  },
  switches: (n) => {
    const seen: string[] = [];
    switch (n) {
      case 1:
      case 2:
        seen.push("small");
        break;
      // biome-ignore lint/suspicious/useDefaultSwitchClauseLast: it has to stay where it is
      default:
        seen.push("other");
        break;
      case 3: {
        seen.push("three");
      }
    }
    switch (n % 3) {
      case 0:
        return seen;
    }
    return [...seen, "behind"];
  },
  switchOnCalls: (n) => {
    switch (said("value", n)) {
      case said("first", 2):
        return "first";
      case said("second", 4):
        return "second";
    }
    return calls.length;
  },
  loops: (n) => {
    let sum = 0;
    outer: for (const a of [1, 2, 3]) {
      for (const key in { x: 1, y: 2 }) {
        if (key === "y" && a === 2) continue outer;
        if (a * 10 > n * 8) break outer;
        sum += a;
      }
    }
    let i = n;
    do i--;
    while (i > 0 && sum < 100);
    while (sum > 50) sum -= 7;
    return [sum, i];
  },
  ifs: (n) => {
    if (n > 7) return 1;
    else if (n > 5)
      if (n === 6) return 2;
      else return 3;
    if (n & 1) for (let i = 0; i < 3; i++) if (i === n) return i;
    return undefined;
  },
  assignments: (n) => {
    const o: { a?: number; b: number; c?: number | null } = { b: n };
    o.a ??= said("a", n);
    o.b ||= said("b", 3);
    o.c &&= 4;
    return o;
  },
  chains: (n) => {
    const o: { list?: number[] } | undefined = n > 2 ? { list: [1, 2, 3] } : n > 1 ? {} : undefined;
    return [o?.list?.slice(1).length, o?.list?.concat([4])[0], [n].slice(0).length, "ab".repeat(n)];
  },
  bigints: (n) => [BigInt(n) << 60n > 1n << 62n, BigInt(n) === 4n, -1n < BigInt(n), n === 0 || -n === -3],
  arrays: (n) => [
    new Uint8Array(n).length,
    new Array(n).length,
    new Uint16Array([1, n])[1],
    Array.from({ length: n }),
  ],
  errors: (n) => {
    try {
      if (n > 4) throw new RangeError(`above: ${n > 6 ? "much" : "little"}`);
      return "fine";
    } catch (error) {
      return error instanceof RangeError && error.message;
    } finally {
      calls.push("finally");
    }
  },
  patterns: (n) => {
    const { a = n > 3 ? 1 : 2, ...rest } = n > 5 ? { a: 5, b: 6 } : { b: 7 };
    const [first = a === 1, , third] = [undefined, 2, n < 3];
    return { a, rest, first, third };
  },
  compares: (n) => {
    const nothing = n / 0 - n / 0;
    const again = nothing;
    return [nothing === again, nothing !== again, nothing <= n, Object.is(n, -0), `${n}` < "4"];
  },
};

/** What was called, in order, since the last time. */
export const takeCalls = (): string[] => calls.splice(0);
