/**
 * Where in a handover a structure is, as text: findings name it so, and so do the claims of pages that decoding makes, by
 * which encoding finds the place of what nothing else has the address of. Both take the names from here.
 */

export const rootPath = "root";
/** The blob of a subtree. */
export const subtreePath = (name: string): string => `subtrees.${name}`;

/** A block of a list of serialization blocks. */
export const blockPath = (list: string, index: number): string => `${list}.blocks[${index}]`;
/** A page of addresses of a preserved vmalloc area. The area's own pages have the path of the area. */
export const chunkPath = (area: string, index: number): string => `${area}.chunks[${index}]`;

export const luoPath = "luo";
/** The structure that the trees of `luo-v2` to `luo-v4` lead to. */
export const luoHeaderPath = `${luoPath}.luo-abi-header`;
/** The area of sessions; their blocks are {@link blockPath | of it}. */
export const sessionsPath = `${luoPath}.sessions`;
export const sessionPath = (index: number): string => `${sessionsPath}[${index}]`;
/** The area of a session's files; their blocks are {@link blockPath | of it}. */
export const filesPath = (session: string): string => `${session}.files`;
export const filePath = (session: string, index: number): string => `${filesPath(session)}[${index}]`;
export const flbsPath = `${luoPath}.flbs`;
export const flbPath = (index: number): string => `${flbsPath}[${index}]`;

/** A memfd's own structure. */
export const memfdPath = (file: string): string => `${file}.memfd`;
/** The list of a memfd's folios. */
export const foliosPath = (memfd: string): string => `${memfd}.folios`;

export const khoTestPath = "kho_test";
/** The list of the test module's folios. */
export const khoTestInfoPath = `${khoTestPath}.folios_info`;
/** The test module's folios themselves, which are contents and no structure. */
export const khoTestFoliosPath = `${khoTestPath}.folios`;

/** Whether a structure is a part of the memory map, which no kernel preserves. */
export const isMapPath = (path: string): boolean => /^preserved($|[.[])/.test(path);
