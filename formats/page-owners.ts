import { firstNot } from "../src/memory/index.js";
import { grown } from "./grown.js";

/** Who begins in which page, as sorted stretches of pages: a list of a million that lie side by side is one. */
export interface PageOwners {
  /** The number of the owner of a page below 2^52, or -1. */
  of(frame: number): number;
  /** Gives a page that has no owner to `owner`, a number below 2^32. */
  add(frame: number, owner: number): void;
}

/** Stretches in one piece of the sorted whole; a full one is cut in two. */
const mostRows = 512;

interface Piece {
  length: number;
  start: Float64Array;
  end: Float64Array;
  owner: Uint32Array;
}

const newPiece = (rows: number): Piece => ({
  length: 0,
  start: new Float64Array(rows),
  end: new Float64Array(rows),
  owner: new Uint32Array(rows),
});

/**
 * No pages, no owners. `most` stretches are kept sorted: kernels' lists have few. Pages without neighbours, in any order,
 * can be millions, and to sort these takes longer than an entry of a map for each, which they get.
 */
export function newPageOwners(most = 2 ** 16): PageOwners {
  /** Ascending, and so are the stretches in each. None is empty but the first. */
  const pieces: Piece[] = [newPiece(16)];
  /** Where the stretch is that a page was added to last. */
  let lastPiece = 0;
  let lastRow = -1;
  let stretches = 0;
  const others = new Map<number, number>();

  /** The last piece that begins at or before `frame`, or the first. */
  const pieceOf = (frame: number): number =>
    Math.max(0, firstNot(0, pieces.length, (p) => pieces[p]!.start[0]! <= frame) - 1);
  /** The first row of a piece that begins behind `frame`. */
  const rowBehind = ({ start, length }: Piece, frame: number): number =>
    firstNot(0, length, (row) => start[row]! <= frame);

  /** Lengthens the last stretch by `frame` if that is the page behind it and of the same owner. */
  const lengthen = (frame: number, owner: number): boolean => {
    const { end, owner: owners } = pieces[lastPiece]!;
    if (lastRow < 0 || end[lastRow] !== frame || owners[lastRow] !== owner) return false;
    end[lastRow] = frame + 1;
    return true;
  };

  return {
    of(frame) {
      const piece = pieces[pieceOf(frame)]!;
      const row = rowBehind(piece, frame) - 1;
      if (row >= 0 && frame < piece.end[row]!) return piece.owner[row]!;
      return others.get(frame) ?? -1;
    },
    add(frame, owner) {
      if (lengthen(frame, owner)) return;
      if (stretches === most) {
        lastRow = -1;
        others.set(frame, owner);
        return;
      }
      stretches++;
      lastPiece = pieceOf(frame);
      let piece = pieces[lastPiece]!;
      if (piece.length === piece.start.length) {
        if (piece.length < mostRows) enlarge(piece);
        else {
          pieces.splice(lastPiece + 1, 0, halved(piece));
          if (pieces[lastPiece + 1]!.start[0]! <= frame) piece = pieces[++lastPiece]!;
        }
      }
      lastRow = rowBehind(piece, frame);
      for (const column of [piece.start, piece.end, piece.owner])
        column.copyWithin(lastRow + 1, lastRow, piece.length);
      piece.start[lastRow] = frame;
      piece.end[lastRow] = frame + 1;
      piece.owner[lastRow] = owner;
      piece.length++;
    },
  };
}

function enlarge(piece: Piece): void {
  piece.start = grown(piece.start);
  piece.end = grown(piece.end);
  piece.owner = grown(piece.owner);
}

/** Takes the second half out of a full piece. */
function halved(piece: Piece): Piece {
  const half = piece.length / 2;
  const second = newPiece(mostRows);
  second.start.set(piece.start.subarray(half));
  second.end.set(piece.end.subarray(half));
  second.owner.set(piece.owner.subarray(half));
  second.length = half;
  piece.length = half;
  return second;
}
