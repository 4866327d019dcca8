import {
  type ApiResponse,
  type Body,
  TransportError,
  type WritingTransport,
  type ApiRequest as WrittenRequest,
} from "../../../../src/sources/api/transport/transport.ts";
import type { ApiModel, ApiRequest, Reply } from "../api-model.ts";

/** What goes wrong with one request. The rules are applied to the bytes of the answer, whatever they mean. */
export type Fault =
  /** Nobody listens. */
  | { readonly kind: "refuse" }
  /** The request is never answered. */
  | { readonly kind: "no-answer" }
  /** The server does what was asked, and its answer never arrives. */
  | { readonly kind: "unheard" }
  /** This answer instead. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly body: string;
      readonly retryAfterMs?: number;
      readonly contentType?: string;
    }
  /** After so many bytes the body ends, as if complete or not. */
  | { readonly kind: "cut"; readonly afterBytes: number; readonly how: "end" | "reset" }
  /** After so many bytes nothing comes any more. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** A line of nonsense stands after so many lines instead of the next one. */
  | { readonly kind: "garbage"; readonly afterLines: number; readonly text: string }
  /** After so many lines this text stands before each line. */
  | { readonly kind: "keep-alive"; readonly afterLines: number; readonly text: string }
  /** After so many lines all of them come again. */
  | { readonly kind: "replay"; readonly afterLines: number };

/** An answer that is under way. */
interface OpenBody {
  readonly server: ApiModel;
  readonly body: BytePipe;
}

/**
 * One or several models as a transport without network, whose answers come in pieces of `pieceBytes`. As the real one it goes on
 * with one server until that one is down or left, and moves what is open to the next.
 */
export class ModelTransport implements WritingTransport {
  readonly #servers: readonly ApiModel[];
  readonly #down = new Set<ApiModel>();
  readonly #open = new Set<OpenBody>();
  #current = 0;
  /** Called for every request, before a server is told of it. */
  fault: (request: ApiRequest) => Fault | undefined = () => undefined;
  pieceBytes = 16_384;
  authorization = "";

  constructor(...servers: readonly ApiModel[]) {
    this.#servers = servers;
  }

  /** Cuts what is open at this server; until `start` nobody listens there. */
  crash(server: ApiModel): void {
    this.#down.add(server);
    for (const one of [...this.#open]) if (one.server === server) one.body.reset();
    server.endWatches("reset");
  }

  start(server: ApiModel): void {
    this.#down.delete(server);
  }

  /** All that is open ends as moved, and the next server is used. */
  move(): void {
    this.#current = (this.#current + 1) % this.#servers.length;
    for (const { body } of [...this.#open]) body.reset(new TransportError("moved", "another server"));
  }

  get(path: string, signal: AbortSignal): Promise<ApiResponse> {
    return this.send({ method: "GET", path, contentType: "", body: "" }, signal);
  }

  send({ method, path, contentType, body: content }: WrittenRequest, signal: AbortSignal): Promise<ApiResponse> {
    const url = new URL(path, "https://api.test");
    const asked = { method, path: url.pathname, query: url.searchParams, authorization: this.authorization };

    const request: ApiRequest = { ...asked, acceptEncoding: "", contentType, body: content };
    const fault = this.fault(request);
    const server = this.#reachable();
    return new Promise((resolve, reject) => {
      const fail = () => reject(signal.reason);
      if (signal.aborted) return fail();
      signal.addEventListener("abort", fail);
      if (fault?.kind === "refuse" || server === undefined) return reject(new TransportError("lost", "ECONNREFUSED"));
      if (fault?.kind === "no-answer") return;
      if (fault?.kind === "unheard") {
        server.handle(request, UNHEARD);
        return reject(new TransportError("lost", "ECONNRESET"));
      }
      const body = new BytePipe(signal, this.pieceBytes);
      const one = { server, body };
      this.#open.add(one);
      body.onClose(() => this.#open.delete(one));
      const leaveServer = () => {
        if (server === this.#servers[this.#current]) this.move();
      };
      const bare = { contentType: "", contentEncoding: "", leaveServer };
      if (fault?.kind === "answer") {
        body.write(Buffer.from(fault.body));
        body.end();
        const { status, retryAfterMs = 0, contentType: form = "" } = fault;
        return resolve({ ...bare, status, retryAfterMs, contentType: form, body });
      }
      const reply: Reply = {
        head: (status, headers) =>
          resolve({ ...bare, status, retryAfterMs: Number(headers["retry-after"] ?? 0) * 1000, body }),
        write: (bytes) => body.write(bytes),
        drained: () => Promise.resolve(),
        end: () => body.end(),
        reset: () => body.reset(),
        onClose: (listener) => body.onClose(listener),
      };
      server.handle(request, withFault(reply, fault));
    });
  }

  /** The server in use, or the next that listens. */
  #reachable(): ApiModel | undefined {
    for (const _ of this.#servers) {
      const server = this.#servers[this.#current];
      if (server !== undefined && !this.#down.has(server)) return server;
      this.#current = (this.#current + 1) % this.#servers.length;
    }
    return undefined;
  }
}

/** A reply that nobody gets. */
const UNHEARD: Reply = {
  head: () => {},
  write: () => {},
  drained: async () => {},
  end: () => {},
  reset: () => {},
  onClose: () => {},
};

/** A body between a writer and one reader. */
class BytePipe implements Body {
  readonly #signal: AbortSignal;
  readonly #pieceBytes: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #closeListeners: (() => void)[] = [];
  #isEnded = false;
  #failure: TransportError | undefined;
  #wake: () => void = () => {};

  constructor(signal: AbortSignal, pieceBytes: number) {
    this.#signal = signal;
    this.#pieceBytes = pieceBytes;
    signal.addEventListener("abort", () => this.reset());
  }

  write(bytes: Uint8Array): void {
    if (this.#isOver) return;
    for (let start = 0; start < bytes.length; start += this.#pieceBytes) {
      this.#chunks.push(bytes.subarray(start, start + this.#pieceBytes));
    }
    this.#wake();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isEnded = true;
    this.#close();
  }

  reset(failure = new TransportError("lost", "ECONNRESET")): void {
    if (this.#isOver) return;
    this.#failure = failure;
    this.#close();
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  async read(onChunk: (chunk: Uint8Array) => void): Promise<void> {
    for (;;) {
      this.#signal.throwIfAborted();
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) onChunk(chunk);
      else if (this.#isEnded) return;
      else if (this.#failure !== undefined) throw this.#failure;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  get #isOver(): boolean {
    return this.#isEnded || this.#failure !== undefined;
  }

  #close(): void {
    this.#wake();
    for (const listener of this.#closeListeners) listener();
  }
}

/** The reply with one fault on its way. */
function withFault(reply: Reply, fault: Fault | undefined): Reply {
  if (fault?.kind === "cut" || fault?.kind === "stall") return limited(reply, fault);
  if (fault?.kind === "garbage" || fault?.kind === "keep-alive" || fault?.kind === "replay")
    return spoiled(reply, fault);
  return reply;
}

function limited(reply: Reply, fault: Fault & { readonly kind: "cut" | "stall" }): Reply {
  let left = fault.afterBytes;
  let over = false;
  return {
    ...reply,
    write(bytes) {
      if (over) return;
      reply.write(bytes.subarray(0, left));
      left -= Math.min(left, bytes.length);
      if (left > 0) return;
      over = true;
      if (fault.kind === "cut") reply[fault.how]();
    },
    end: () => {
      if (!over) reply.end();
    },
    reset: () => {
      if (!over) reply.reset();
    },
  };
}

function spoiled(reply: Reply, fault: Fault & { readonly kind: "garbage" | "keep-alive" | "replay" }): Reply {
  const lines: Uint8Array[] = [];
  return {
    ...reply,
    write(bytes) {
      if (fault.kind === "keep-alive" && lines.length >= fault.afterLines) reply.write(Buffer.from(fault.text));
      const isGarbage = fault.kind === "garbage" && lines.length === fault.afterLines;
      reply.write(isGarbage ? Buffer.from(fault.text) : bytes);
      lines.push(bytes);
      if (fault.kind === "replay" && lines.length === fault.afterLines) lines.forEach(reply.write);
    },
  };
}
