import type { Body } from "./transport.ts";

export type Pumped<Result> =
  | { readonly kind: "stopped"; readonly result: Result }
  /** The body is complete. */
  | { readonly kind: "ended" }
  | { readonly kind: "failed"; readonly error: unknown };

/**
 * Hands the chunks of a body to `handle` until it gives a result. Only what the body fails with is an ending: an
 * exception of `handle` is a bug and goes up. Whoever opened the body closes it; what still arrives until then, and all
 * that arrives once the signal is aborted, is not handled.
 */
export function pump<Result>(
  body: Body,
  signal: AbortSignal,
  handle: (chunk: Uint8Array) => Result | undefined,
): Promise<Pumped<Result>> {
  const { promise, resolve, reject } = Promise.withResolvers<Pumped<Result>>();
  let isOver = false;
  const onChunk = (chunk: Uint8Array) => {
    if (isOver) return;
    if (signal.aborted) return;
    try {
      const result = handle(chunk);
      if (result === undefined) return;
      resolve({ kind: "stopped", result });
    } catch (error) {
      reject(error);
    }
    isOver = true;
  };
  body.read(onChunk).then(
    () => resolve(signal.aborted ? { kind: "failed", error: signal.reason } : { kind: "ended" }),
    (error: unknown) => resolve({ kind: "failed", error }),
  );
  return promise;
}
