import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import {
  buildSequential,
  checkFdt,
  editFdt,
  type FdtEditor,
  openFdt,
  overwriteProperty,
  readFdt,
} from "../../../formats/fdt/index.js";
import { alikeNames, alikeTrees, values } from "./arbitrary.js";
import { khoV1EditedRoot, khoV4Root } from "./examples.js";
import { plain } from "./plain.js";
import { blobOf, type Tree, token, writeTree } from "./write.js";

const hasFdtput = spawnSync("fdtput", ["--version"]).status === 0;

const page = 4096;
const bytes = (...list: number[]) => Uint8Array.from(list);
const tree = (properties: Tree["properties"] = [], children: Tree[] = [], name = ""): Tree => ({
  name,
  properties,
  children,
});
const failing = (code: string) => expect.objectContaining({ name: "KhoError", code });

describe("where things go", () => {
  const family = buildSequential(
    tree(
      [["p", bytes(1)]],
      [tree([["x", bytes(1)]], [], "old"), tree([], [tree([], [], "inner")], "older@1")],
    ),
  );
  const edited = (edit: (editor: FdtEditor) => void) => plain(readFdt(editFdt(family, page, edit)).root);

  test("a node in front of its siblings, behind the properties", () => {
    const { properties, children } = edited((editor) => editor.addNode([], "new"));
    expect(properties.map(([name]) => name)).toEqual(["p"]);
    expect(children.map(({ name }) => name)).toEqual(["new", "old", "older@1"]);
  });

  test("a property in front of the others, unless it exists", () => {
    const { children } = edited((editor) => {
      editor.setProperty(["old"], "y", bytes(2));
      editor.setProperty(["old"], "x", bytes(1, 2, 3, 4, 5));
      editor.setProperty(["older@1", "inner"], "x", bytes());
    });
    expect(children).toEqual([
      tree(
        [
          ["y", bytes(2)],
          ["x", bytes(1, 2, 3, 4, 5)],
        ],
        [],
        "old",
      ),
      tree([], [tree([["x", bytes()]], [], "inner")], "older@1"),
    ]);
  });

  test("a removed node takes what is below it along", () => {
    expect(edited((editor) => editor.removeNode([], "older@1")).children.length).toBe(1);
    expect(edited((editor) => editor.removeNode(["older@1"], "inner")).children[1]!.children).toEqual([]);
  });

  test("what exists, as a lookup would find it, is not added again", () => {
    const add = (parent: string[], name: string) => () => edited((editor) => editor.addNode(parent, name));
    expect(add([], "old")).toThrow(failing("fdt-exists"));
    expect(add([], "older@1")).toThrow(failing("fdt-exists"));
    expect(add([], "older")).toThrow(failing("fdt-exists"));
    expect(add([], "older@2")).not.toThrow();
    expect(add([], "old@")).not.toThrow();
    expect(add([], "inner")).not.toThrow();
    expect(add(["old"], "old")).not.toThrow();
  });

  test("but paths mean whole names", () => {
    expect(() => edited((editor) => editor.removeNode([], "older"))).toThrow(failing("fdt-missing"));
    expect(() => edited((editor) => editor.addNode(["older"], "x"))).toThrow(failing("fdt-missing"));
    expect(() => edited((editor) => editor.setProperty(["no"], "x", bytes()))).toThrow(
      failing("fdt-missing"),
    );
    const { children } = edited((editor) => {
      editor.addNode([], "a/b");
      editor.setProperty(["a/b"], "__proto__", bytes(7));
    });
    expect(children[0]).toEqual(tree([["__proto__", bytes(7)]], [], "a/b"));
  });

  test("names that cannot be stored are refused", () => {
    expect(() => edited((editor) => editor.addNode([], "a\0"))).toThrow(failing("value-range"));
    expect(() => edited((editor) => editor.setProperty([], "a\0", bytes()))).toThrow(failing("value-range"));
  });
});

describe("strings", () => {
  const stringsOf = (blob: Uint8Array) => {
    const { off_dt_strings, size_dt_strings } = readFdt(blob).header;
    return String.fromCharCode(...blob.subarray(off_dt_strings, off_dt_strings + size_dt_strings));
  };
  const start = buildSequential(
    tree([
      ["abc", bytes()],
      ["d", bytes()],
    ]),
  );

  test("are appended, found as tails, and never removed", () => {
    expect(stringsOf(start)).toBe("d\0abc\0");
    const more = editFdt(start, page, (editor) => {
      editor.addNode([], "n");
      editor.setProperty(["n"], "new", bytes());
      editor.setProperty(["n"], "bc", bytes());
      editor.setProperty(["n"], "w", bytes());
    });
    expect(stringsOf(more)).toBe("d\0abc\0new\0");
    expect(readFdt(more).root.children[0]!.properties.map(({ nameOffset }) => nameOffset)).toEqual([8, 3, 6]);
    const less = editFdt(more, page, (editor) => editor.removeNode([], "n"));
    expect(stringsOf(less)).toBe("d\0abc\0new\0");
    expect(plain(readFdt(less).root)).toEqual(plain(readFdt(start).root));
  });
});

describe("room", () => {
  const start = buildSequential(tree([["p", bytes(1, 2, 3, 4)]]));
  const packed = editFdt(start, start.length, () => {});
  const add = (editor: FdtEditor) => {
    editor.addNode([], "node");
    editor.setProperty(["node"], "value", bytes(1, 2, 3, 4, 5));
  };
  const grown = editFdt(packed, page, add);

  test("packing moves the blocks up by 8 bytes", () => {
    expect(packed.length).toBe(start.length - 8);
    expect(readFdt(packed).header).toMatchObject({ off_mem_rsvmap: 0x28, off_dt_struct: 0x38 });
    expect(editFdt(packed, page, () => {})).toEqual(packed);
  });

  test("edits fit to the last byte", () => {
    expect(editFdt(packed, grown.length, add)).toEqual(grown);
    expect(() => editFdt(packed, grown.length - 1, add)).toThrow(failing("fdt-no-space"));
    // While it is open, a tree that was written in one go keeps its padding.
    expect(editFdt(start, grown.length + 8, add)).toEqual(grown);
    expect(() => editFdt(start, grown.length + 7, add)).toThrow(failing("fdt-no-space"));
  });

  test("the most that is open at once counts, not the result", () => {
    const addAndRemove = (editor: FdtEditor) => {
      add(editor);
      editor.removeNode([], "node");
    };
    expect(editFdt(packed, grown.length, addAndRemove).length).toBe(packed.length + "value\0".length);
    expect(() => editFdt(packed, grown.length - 1, addAndRemove)).toThrow(failing("fdt-no-space"));
  });

  test("what does not fit changes nothing, not even the strings", () => {
    const editor = openFdt(packed, grown.length - 1);
    expect(() => add(editor)).toThrow(failing("fdt-no-space"));
    expect(plain(readFdt(editor.pack()).root).children).toEqual([tree([], [], "node")]);
    expect(editor.pack()).toEqual(editFdt(packed, page, (other) => other.addNode([], "node")));
    editor.setProperty(["node"], "p", bytes(1));
    expect(readFdt(editor.pack()).root.children[0]!.properties.length).toBe(1);
  });

  test("is needed for the blob itself", () => {
    expect(() => openFdt(start, start.length - 1)).toThrow(failing("fdt-no-space"));
    expect(() => openFdt(start, 0)).toThrow(failing("fdt-no-space"));
  });
});

describe("blobs of other writers", () => {
  const { begin, property, end, finish, raw } = token;
  const nop = raw(4);
  const withNops = blobOf(
    [
      ...[nop, begin(""), nop, property(0, [1]), nop, begin("a"), nop, end, nop, begin("b"), end],
      ...[nop, end, nop, finish],
    ].flat(),
    [0x70, 0],
  );

  test("no-operation tokens stay", () => {
    const removed = editFdt(withNops, page, (editor) => {
      editor.removeNode([], "a");
      editor.addNode([], "c");
    });
    expect(plain(readFdt(removed).root)).toEqual(
      tree([["p", bytes(1)]], [tree([], [], "c"), tree([], [], "b")]),
    );
    const nops = (blob: Uint8Array) => {
      const view = new DataView(blob.buffer, blob.byteOffset + readFdt(blob).header.off_dt_struct);
      return Array.from({ length: 14 }, (_, i) => view.getUint32(i * 4)).filter((word) => word === 4).length;
    };
    expect(nops(removed)).toBeGreaterThan(3);
  });

  test("reservations, boot CPU and what is behind totalsize", () => {
    const reservations = [{ address: 0x1000n, size: 2n ** 64n - 1n }];
    const blob = writeTree(tree([["p", bytes(1)]]), { reservations, header: { boot_cpuid_phys: 3 } });
    const long = new Uint8Array(page).fill(0xa5);
    long.set(blob);
    const fdt = readFdt(editFdt(long, page, (editor) => editor.addNode([], "n")));
    expect(fdt.reservations).toEqual(reservations);
    expect(fdt.header).toMatchObject({ boot_cpuid_phys: 3, last_comp_version: 16, version: 17 });
    expect(long.subarray(0, blob.length)).toEqual(blob);
    expect(plain(fdt.root)).toEqual(tree([["p", bytes(1)]], [tree([], [], "n")]));
  });

  test("strings in front of the structure are moved behind it", () => {
    const strings = [0x70, 0, 0, 0];
    const structure = [begin(""), property(0, [1]), end, finish].flat();
    const blob = blobOf([...strings, ...structure], [], {
      header: {
        off_dt_struct: 60,
        off_dt_strings: 56,
        size_dt_struct: structure.length,
        size_dt_strings: 2,
      },
    });
    const edited = editFdt(blob, page, (editor) => editor.setProperty([], "q", bytes(2)));
    expect(checkFdt(edited)).toEqual([]);
    expect(plain(readFdt(edited).root).properties).toEqual([
      ["q", bytes(2)],
      ["p", bytes(1)],
    ]);
  });

  test("version 16, which does not say how long its structure is", () => {
    for (const blob of [khoV4Root, withNops]) {
      const old = blob.slice();
      const view = new DataView(old.buffer);
      view.setUint32(20, 16);
      view.setUint32(36, 0xffffffff);
      const edit = (editor: FdtEditor) => editor.addNode([], "new");
      expect(editFdt(old, page, edit)).toEqual(editFdt(blob, page, edit));
    }
  });

  test("damaged ones are refused", () => {
    for (const length of [0, 39, 60, 200])
      expect(() => openFdt(khoV4Root.subarray(0, length), page)).toThrow(failing("fdt-truncated"));
    expect(() => overwriteProperty(khoV4Root.subarray(0, 100), [], "compatible", bytes())).toThrow(
      failing("fdt-truncated"),
    );
  });
});

describe("in place", () => {
  test("the value changes and nothing else", () => {
    const value = bytes(8, 7, 6, 5, 4, 3, 2, 1);
    const before = khoV1EditedRoot.slice();
    const changed = overwriteProperty(khoV1EditedRoot, [], "preserved-memory-map", value);
    expect(khoV1EditedRoot).toEqual(before);
    const places = [...changed.keys()].filter((at) => changed[at] !== before[at]);
    expect(places.every((at) => at >= 0x60 && at < 0x68)).toBe(true);
    expect(changed.subarray(0x60, 0x68)).toEqual(value);
    const deeper = overwriteProperty(khoV1EditedRoot, ["LUO"], "fdt", value);
    expect(deeper.subarray(0x7c, 0x84)).toEqual(value);
  });

  test("only in the same length, and only what exists", () => {
    const overwrite = (path: string[], name: string, length: number) => () =>
      overwriteProperty(khoV1EditedRoot, path, name, new Uint8Array(length));
    expect(overwrite([], "compatible", 8)).toThrow(failing("fdt-no-space"));
    expect(overwrite([], "compatible", 6)).toThrow(failing("fdt-no-space"));
    expect(overwrite([], "compatibl", 7)).toThrow(failing("fdt-missing"));
    expect(overwrite(["luo"], "fdt", 8)).toThrow(failing("fdt-missing"));
  });
});

/** An edit with its node picked by a number, so that it fits any tree. */
interface Edit {
  kind: "add" | "remove" | "set";
  pick: number;
  name: string;
  /** To set. */
  value: Uint8Array;
}
const editsOf = (name: fc.Arbitrary<string>, value: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Edit[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom("add" as const, "remove" as const, "set" as const, "set" as const),
      pick: fc.nat(20),
      name,
      value,
    }),
    { maxLength: 12 },
  );

/** All nodes of a tree with the paths that lead to them. */
const all = (node: Tree, path: string[] = []): { node: Tree; path: string[] }[] => [
  { node, path },
  ...node.children.flatMap((inner) => all(inner, [...path, inner.name])),
];

/** Does an edit to a node of a plain tree; the code of the error that it should be. */
function model(edit: Edit, node: Tree): "fdt-exists" | "fdt-missing" | undefined {
  const index = (list: { name: string }[]) => list.findIndex(({ name }) => name === edit.name);
  const child = index(node.children);
  if (edit.kind === "add") {
    if (child >= 0) return "fdt-exists";
    node.children.unshift(tree([], [], edit.name));
  } else if (edit.kind === "remove") {
    if (child < 0) return "fdt-missing";
    node.children.splice(child, 1);
  } else {
    const known = node.properties.findIndex(([name]) => name === edit.name);
    if (known >= 0) node.properties[known]![1] = edit.value;
    else node.properties.unshift([edit.name, edit.value]);
  }
  return undefined;
}

function apply(editor: FdtEditor, path: string[], { kind, name, value }: Edit): void {
  if (kind === "add") editor.addNode(path, name);
  else if (kind === "remove") editor.removeNode(path, name);
  else editor.setProperty(path, name, value);
}

function codeOf(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test("random edits do to the blob what they do to a plain tree", () => {
  fc.assert(
    fc.property(alikeTrees, editsOf(alikeNames, values), (start, list) => {
      const root = structuredClone(start);
      const editor = openFdt(buildSequential(start), 2 ** 16);
      for (const edit of list) {
        const places = all(root);
        const { node, path } = places[edit.pick % places.length]!;
        const wanted = model(edit, node);
        const got = codeOf(() => apply(editor, path, edit));
        expect(got).toBe(wanted);
      }
      const blob = editor.pack();
      expect(plain(readFdt(blob).root)).toEqual(root);
      expect(checkFdt(blob)).toEqual([]);
      const { totalsize, off_dt_strings, size_dt_strings } = readFdt(blob).header;
      expect([totalsize, off_dt_strings + size_dt_strings]).toEqual([blob.length, blob.length]);
    }),
  );
});

// fdtput is libfdt's read-write functions, a call of it one edit, and it packs what it writes.
describe.skipIf(!hasFdtput)("fdtput writes the same bytes", () => {
  const folder = hasFdtput ? mkdtempSync(join(tmpdir(), "kho-fdtput-")) : "";
  afterAll(() => folder && rmSync(folder, { recursive: true }));

  test("after every edit", () => {
    const file = join(folder, "tree.dtb");
    const names = fc.constantFrom("a", "ba", "cba", "d", "ad", "e,a");
    const words = fc.uint8Array({ minLength: 8, maxLength: 8 }) as fc.Arbitrary<Uint8Array>;
    fc.assert(
      fc.property(editsOf(names, words), (list) => {
        let blob = buildSequential(tree([["compatible", bytes(0x78, 0, 0, 0)]]));
        for (const edit of list) {
          const places = all(plain(readFdt(blob).root));
          const { node, path } = places[edit.pick % places.length]!;
          // It removes silently what is not there, and complains where we do.
          if (model(edit, node)) continue;
          const at = `/${path.join("/")}`;
          const inner = at === "/" ? `/${edit.name}` : `${at}/${edit.name}`;
          writeFileSync(file, blob);
          const args =
            edit.kind === "add"
              ? ["-c", file, inner]
              : edit.kind === "remove"
                ? ["-r", file, inner]
                : ["-t", "bx", file, at, edit.name, ...Array.from(edit.value, (byte) => byte.toString(16))];
          const { status, stderr } = spawnSync("fdtput", args);
          expect({ status, errors: stderr.toString() }).toEqual({ status: 0, errors: "" });
          blob = editFdt(blob, page, (editor) => apply(editor, path, edit));
          expect(new Uint8Array(readFileSync(file))).toEqual(blob);
        }
      }),
      { numRuns: 25 },
    );
  });
});
