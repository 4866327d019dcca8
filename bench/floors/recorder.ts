import { closeSync, openSync, writeSync } from "node:fs";

/** Records netlink datagrams to a file for `replay.pl`, which documents the format. */
export class Recorder {
  readonly #file: number;
  #buffer: Uint8Array[] = [];
  #size = 0;

  constructor(path: string) {
    this.#file = openSync(path, "w");
  }

  /** Records a datagram that is sent. Dumps are left out, because the replay waits for acknowledgements. */
  record(bytes: Uint8Array, protocol: number): void {
    const last = lastMessage(bytes);
    if (!last.wantsAck) return;
    const head = new Uint8Array(12);
    const view = new DataView(head.buffer);
    view.setUint32(0, protocol, true);
    view.setUint32(4, last.sequence, true);
    view.setUint32(8, bytes.length, true);
    this.#buffer.push(head, bytes.slice());
    this.#size += 12 + bytes.length;
    if (this.#size > 4 << 20) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    for (const bytes of this.#buffer) writeSync(this.#file, bytes);
    this.#buffer = [];
    this.#size = 0;
  }
}

const NLM_F_ACK = 4;

function lastMessage(bytes: Uint8Array): { sequence: number; wantsAck: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (;;) {
    const next = at + ((view.getUint32(at, true) + 3) & ~3);
    if (next >= bytes.length) break;
    at = next;
  }
  return { sequence: view.getUint32(at + 8, true), wantsAck: (view.getUint16(at + 6, true) & NLM_F_ACK) !== 0 };
}
