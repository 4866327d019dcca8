import { setImmediate } from "node:timers/promises";

/** After so many bytes the event loop has its turn: decoding 64 KiB takes 1-3 ms, and three lists may run at once. */
const SLICE_BYTES = 65_536;

export type Pumped<Result> =
  | { readonly kind: "stopped"; readonly result: Result }
  /** The body is complete. */
  | { readonly kind: "ended" }
  | { readonly kind: "failed"; readonly error: unknown };

/**
 * Hands the chunks of a body to `handle` until it gives a result. Only what the body throws is caught: an exception of
 * `handle` is a bug and goes up. Whoever opened the body closes it. One reader pulls, so nothing of an older stream can
 * ever be handled after its end, and nothing at all once the signal is aborted.
 */
export async function pump<Result>(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  handle: (chunk: Uint8Array) => Result | undefined,
): Promise<Pumped<Result>> {
  const chunks = body[Symbol.asyncIterator]();
  let bytes = 0;
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await chunks.next();
    } catch (error) {
      return { kind: "failed", error };
    }
    if (signal.aborted) return { kind: "failed", error: signal.reason };
    if (next.done === true) return { kind: "ended" };
    const result = handle(next.value);
    if (result !== undefined) return { kind: "stopped", result };
    bytes += next.value.length;
    if (bytes >= SLICE_BYTES) {
      bytes = 0;
      await setImmediate();
    }
  }
}
