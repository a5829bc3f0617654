import { decodeHandover, encodeHandover, physAddr, placedAs } from "../src/index.js";
import { fillPattern, Machine } from "../src/machine/index.js";
import { captureName, openCapture } from "./capture.js";
import type { Peer, Subject } from "./measure.js";

/** Everything at once. No C program does the same work: copying the bytes that are handed over is a yardstick. */
export function handoverSubjects(): Subject[] {
  return [...captureSubjects(), kexecSubject()];
}

function captureSubjects(): Subject[] {
  const { image, decoded } = openCapture();
  const { handover, structures } = decoded;
  const { fdtPa, fdtSize } = handover.handoff;
  const sessions = handover.luo!.sessions.length;
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

  const ranges = image.memory.ranges.map(({ pa, size }) => image.memory.read(physAddr(pa), Number(size)));
  const bytes = ranges.reduce((sum, { length }) => sum + length, 0);
  const files = (options: Parameters<typeof decodeHandover>[1]): number =>
    decodeHandover(image, options).handover.luo!.sessions.reduce(
      (sum, session) => sum + session.files.length,
      0,
    );
  const written = encodeHandover(handover, placedAs(structures)).written.reduce(
    (sum, { size }) => sum + Number(size),
    0,
  );
  return [
    {
      name: `decode a whole handover, ${sessions} sessions in ${mib(bytes)} (${captureName})`,
      sameResult: false,
      ours: [
        { name: "decodeHandover, the root found by a scan", run: () => files({}) },
        {
          name: "decodeHandover, told where the root is",
          run: () => files({ meta: { fdtPhys: fdtPa, fdtSize } }),
        },
      ],
      peers: [copyOf("the image", ranges)],
    },
    {
      name: `encode a whole handover, ${sessions} sessions to ${mib(written)} of structures (${captureName})`,
      sameResult: false,
      ours: [
        {
          name: "encodeHandover",
          run: () => encodeHandover(handover, placedAs(structures)).written.length,
        },
      ],
      peers: [copyOf("as many bytes", [new Uint8Array(written).fill(1)])],
    },
  ];
}

const MiB = 2 ** 20;

/** Kernels that hand over a few guests: boot, preserve, jump, boot the next, retrieve. */
function kexecSubject(): Subject {
  const guests = 4;
  const size = 8 * MiB;
  const kexec = (): number => {
    const old = Machine.boot({ release: "7.3", memory: 256 * MiB });
    for (let i = 0; i < guests; i++) {
      const session = old.liveupdate.createSession(`guest-${i}`);
      const file = old.memfd({ size, folioOrder: i % 2 === 0 ? 0 : 9 });
      fillPattern(file, BigInt(i), [{ index: 0, count: size / 4096 }]);
      session.preserve(file, 1n);
    }
    const next = old.kexec({ release: "7.3" });
    if (next.outcome.kind !== "received")
      throw new Error(`the next kernel is not up: ${next.log.join("\n")}`);
    for (let i = 0; i < guests; i++) next.liveupdate.retrieveSession(`guest-${i}`).retrieve(1n);
    return next.findings.length;
  };
  return {
    name: `simulated kexec, ${guests} guests of ${size / MiB} MiB (7.3 to 7.3)`,
    sameResult: false,
    ours: [{ name: "Machine (boot, preserve, kexec, retrieve)", run: kexec }],
    peers: [copyOf("the guests' memory", [new Uint8Array(guests * size).fill(1)])],
  };
}

/** The yardstick: memory copied once, to where there is memory already. */
function copyOf(what: string, pieces: readonly Uint8Array[]): Peer {
  const to = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0)).fill(1);
  return {
    name: `yardstick, copying ${what}`,
    run() {
      let at = 0;
      for (const piece of pieces) {
        to.set(piece, at);
        at += piece.length;
      }
      return to[at >> 1]!;
    },
  };
}
