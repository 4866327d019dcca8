import { readdirSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { testTls } from "./api-server.ts";

const FIXTURES = new URL("../../fixtures/apiserver/", import.meta.url);

/** The answer of a recorded exchange as it was on the wire, framing included. `name` is the number before the dash. */
export function recordedAnswer(name: string): Buffer {
  const file = readdirSync(FIXTURES).find((entry) => entry.startsWith(`${name}-`));
  if (file === undefined) throw new Error(`no recorded exchange "${name}"`);
  const bytes = readFileSync(new URL(file, FIXTURES));
  return bytes.subarray(bytes.indexOf("\r\n\r\n") + 4);
}

/** Whether the client knows from the bytes that the answer is over. */
function isOver(answer: Buffer): boolean {
  return answer.includes("Content-Length:") || answer.subarray(-5).equals(Buffer.from("0\r\n\r\n"));
}

/** Answers the requests in turn with recorded bytes, in pieces; those behind the last get none. HTTP/1.1 over TLS. */
export class ReplayServer {
  /** Targets of the requests, in the order they came. */
  readonly requests: string[] = [];
  readonly #answers: readonly Buffer[];
  readonly #pieceBytes: number;
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  private constructor(answers: readonly Buffer[], pieceBytes: number) {
    this.#answers = answers;
    this.#pieceBytes = pieceBytes;
    this.#server = createServer({ ...testTls("a"), ALPNProtocols: ["http/1.1"] }, (socket) => this.#accept(socket));
  }

  static async start(answers: readonly Buffer[], pieceBytes = 65_536): Promise<ReplayServer> {
    const server = new ReplayServer(answers, pieceBytes);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    // A TCP server that listens has an address of this form.
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: TLSSocket): void {
    this.#sockets.add(socket);
    let text = "";
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
        const target = text.split(" ", 2)[1] ?? "";
        text = text.slice(end + 4);
        this.#answer(socket, target);
      }
    });
  }

  #answer(socket: TLSSocket, target: string): void {
    const answer = this.#answers[this.requests.length];
    this.requests.push(target);
    if (answer === undefined) return;
    for (let start = 0; start < answer.length; start += this.#pieceBytes) {
      socket.write(answer.subarray(start, start + this.#pieceBytes));
    }
    if (!isOver(answer)) socket.end();
  }
}
