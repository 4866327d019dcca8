import {
  type ApiResponse,
  type Body,
  TransportError,
  type WritingTransport,
  type ApiRequest as WrittenRequest,
} from "../../../src/watch/transport.ts";
import type { ApiModel, ApiRequest, Reply } from "./api-model.ts";

/** What goes wrong with one request. The rules are applied to the bytes of the answer, whatever they mean. */
export type Fault =
  /** Nobody listens. */
  | { readonly kind: "refuse" }
  /** The request is never answered. */
  | { readonly kind: "no-answer" }
  /** The server does what was asked, and its answer never arrives. */
  | { readonly kind: "unheard" }
  /** This answer instead. */
  | { readonly kind: "answer"; readonly status: number; readonly body: string; readonly retryAfterMs?: number }
  /** After so many bytes the body ends, as if complete or not. */
  | { readonly kind: "cut"; readonly afterBytes: number; readonly how: "end" | "reset" }
  /** After so many bytes nothing comes any more. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** A line of nonsense stands after so many lines instead of the next one. */
  | { readonly kind: "garbage"; readonly afterLines: number; readonly text: string }
  /** After so many lines all of them come again. */
  | { readonly kind: "replay"; readonly afterLines: number };

/** The model as a transport without network, whose answers come in pieces of `pieceBytes`. */
export class ModelTransport implements WritingTransport {
  readonly #model: ApiModel;
  /** Asked for every request, after the model is told of none that fails on the way. */
  fault: (request: ApiRequest) => Fault | undefined = () => undefined;
  pieceBytes = 16_384;
  authorization = "";

  constructor(model: ApiModel) {
    this.#model = model;
  }

  get(path: string, signal: AbortSignal): Promise<ApiResponse> {
    return this.send({ method: "GET", path, contentType: "", body: "" }, signal);
  }

  send({ method, path, contentType, body: content }: WrittenRequest, signal: AbortSignal): Promise<ApiResponse> {
    const url = new URL(path, "https://api.test");
    const asked = { method, path: url.pathname, query: url.searchParams, authorization: this.authorization };

    const request: ApiRequest = { ...asked, acceptEncoding: "", contentType, body: content };
    const fault = this.fault(request);
    return new Promise((resolve, reject) => {
      const fail = () => reject(signal.reason);
      if (signal.aborted) return fail();
      signal.addEventListener("abort", fail);
      if (fault?.kind === "refuse") return reject(new TransportError("lost", "ECONNREFUSED"));
      if (fault?.kind === "no-answer") return;
      if (fault?.kind === "unheard") {
        this.#model.handle(request, UNHEARD);
        return reject(new TransportError("lost", "ECONNRESET"));
      }
      const body = new BytePipe(signal, this.pieceBytes);
      if (fault?.kind === "answer") {
        body.write(Buffer.from(fault.body));
        body.end();
        return resolve({ ...BARE, status: fault.status, retryAfterMs: fault.retryAfterMs ?? 0, body });
      }
      const reply: Reply = {
        head: (status, headers) =>
          resolve({ ...BARE, status, retryAfterMs: Number(headers["retry-after"] ?? 0) * 1000, body }),
        write: (bytes) => body.write(bytes),
        drained: () => Promise.resolve(),
        end: () => body.end(),
        reset: () => body.reset(),
        onClose: (listener) => body.onClose(listener),
      };
      this.#model.handle(request, withFault(reply, fault));
    });
  }
}

const BARE = { contentType: "", contentEncoding: "", leaveServer: () => {} };

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
  #state: "open" | "ended" | "reset" = "open";
  #wake: () => void = () => {};

  constructor(signal: AbortSignal, pieceBytes: number) {
    this.#signal = signal;
    this.#pieceBytes = pieceBytes;
    signal.addEventListener("abort", () => {
      this.reset();
      for (const listener of this.#closeListeners) listener();
    });
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    for (let start = 0; start < bytes.length; start += this.#pieceBytes) {
      this.#chunks.push(bytes.subarray(start, start + this.#pieceBytes));
    }
    this.#wake();
  }

  end(): void {
    if (this.#state === "open") this.#state = "ended";
    this.#wake();
  }

  reset(): void {
    if (this.#state === "open") this.#state = "reset";
    this.#wake();
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  async read(onChunk: (chunk: Uint8Array) => void): Promise<void> {
    for (;;) {
      this.#signal.throwIfAborted();
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) onChunk(chunk);
      else if (this.#state === "ended") return;
      else if (this.#state === "reset") throw new TransportError("lost", "ECONNRESET");
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** The reply with one fault on its way. */
function withFault(reply: Reply, fault: Fault | undefined): Reply {
  if (fault?.kind === "cut" || fault?.kind === "stall") return limited(reply, fault);
  if (fault?.kind === "garbage" || fault?.kind === "replay") return spoiled(reply, fault);
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

function spoiled(reply: Reply, fault: Fault & { readonly kind: "garbage" | "replay" }): Reply {
  const lines: Uint8Array[] = [];
  return {
    ...reply,
    write(bytes) {
      const isGarbage = fault.kind === "garbage" && lines.length === fault.afterLines;
      reply.write(isGarbage ? Buffer.from(fault.text) : bytes);
      lines.push(bytes);
      if (fault.kind === "replay" && lines.length === fault.afterLines) lines.forEach(reply.write);
    },
  };
}
