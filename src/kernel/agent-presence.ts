import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Clock } from "../model/time/clock.ts";

/** An abstract unix socket: there is one in each network namespace, whatever files a pod can see. */
const ADDRESS = "\0kube-ipvs";
/** How long the other end may take to introduce itself. */
const PATIENCE_MS = 1_000;
/** Any program with the network of the host may connect. */
const MOST_PEERS = 8;
const MOST_BYTES = 200;
const INTRODUCTION = /^kube-ipvs \S{1,40} \(process \d{1,10}(?:, pod [0-9a-f-]{36})?\)$/;
/** A program that holds the socket and does not introduce itself. */
const UNKNOWN = "a program that holds the abstract unix socket @kube-ipvs";

/** As "kube-ipvs 1.2.0 (process 7, pod 0b7a…)". `mountinfo` is the text of /proc/self/mountinfo. */
export function agentIdentity(version: string, pid: number, mountinfo: string): string {
  // The kubelet mounts this file into each container. A file of the node below the same folder is no evidence.
  const pod = /\/pods\/([0-9a-f-]{36})\/etc-hosts \/etc\/hosts /.exec(mountinfo)?.[1];
  return `kube-ipvs ${version} (process ${pid}${pod === undefined ? "" : `, pod ${pod}`})`;
}

/**
 * Finds other agents in this network namespace. The first agent listens at the socket, and each later one connects to it; both
 * introduce themselves, and the connection stays as long as both run. It is no lock: any program of the host could hold it.
 *
 * *alone* - `others` -> *first*, if nobody listens, or *later*, if another agent does; the end of that one -> *alone*.
 */
export class AgentPresence {
  readonly #identity: string;
  readonly #clock: Pick<Clock, "sleep">;
  readonly #address: string;
  readonly #peers = new Map<Socket, string>();
  #server: Server | undefined;
  #isClosed = false;

  constructor(identity: string, clock: Pick<Clock, "sleep">, address = ADDRESS) {
    this.#identity = identity;
    this.#clock = clock;
    this.#address = address;
  }

  /** Returns the other agents that run now, as text. A system that refuses the socket shows none. Never rejects. */
  async others(): Promise<readonly string[]> {
    if (this.#server === undefined && this.#peers.size === 0 && !this.#isClosed) await this.#join();
    return [...new Set(this.#peers.values())];
  }

  close(): void {
    this.#isClosed = true;
    this.#server?.close();
    for (const socket of this.#peers.keys()) socket.destroy();
  }

  async #join(): Promise<void> {
    const server = createServer((socket) => void this.#meet(socket));
    server.maxConnections = MOST_PEERS;
    try {
      server.listen(this.#address);
      await once(server, "listening");
      server.on("error", () => {});
      server.unref();
      this.#server = server;
    } catch (error) {
      if (isErrno(error) && error.code === "EADDRINUSE") await this.#meet(connect(this.#address), UNKNOWN);
    }
  }

  /** Introduces this agent and reads who is at the other end, which is left out if it sends nothing and has no `otherwise`. */
  async #meet(socket: Socket, otherwise?: string): Promise<void> {
    socket.unref();
    socket.on("error", () => {});
    socket.on("close", () => this.#peers.delete(socket));
    socket.write(`${this.#identity}\n`);
    const line = await firstLine(socket, this.#clock);
    const identity = INTRODUCTION.test(line) ? line : otherwise;
    if (identity === undefined || socket.destroyed) socket.destroy();
    else this.#peers.set(socket, identity);
  }
}

/** The first line that is received; the text so far if it does not end in time. */
async function firstLine(socket: Socket, clock: Pick<Clock, "sleep">): Promise<string> {
  const ended = new AbortController();
  let text = "";
  socket.on("data", (bytes) => {
    if (text.length < MOST_BYTES) text += bytes.toString("latin1").slice(0, MOST_BYTES);
    if (text.includes("\n")) ended.abort();
  });
  socket.on("close", () => ended.abort());
  await clock.sleep(PATIENCE_MS, ended.signal);
  return text.split("\n", 1)[0] ?? "";
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error;
}
