import type { Body } from "./transport.ts";

/** The result of reading a body. */
export type BodyEnd<Result> =
  | { readonly kind: "stopped"; readonly result: Result }
  /** The body is complete. */
  | { readonly kind: "ended" }
  | { readonly kind: "failed"; readonly error: unknown };

/**
 * Passes the chunks of a body to `handle` until it returns a result. A failure of the body is a result; an exception of
 * `handle` is a bug and rejects the promise. The caller that opened the body closes it. Chunks that arrive after the
 * result, and after the signal is aborted, are dropped.
 */
export function readBody<Result>(
  body: Body,
  signal: AbortSignal,
  handle: (chunk: Uint8Array) => Result | undefined,
): Promise<BodyEnd<Result>> {
  const { promise, resolve, reject } = Promise.withResolvers<BodyEnd<Result>>();
  let isDone = false;
  const onChunk = (chunk: Uint8Array) => {
    if (isDone) return;
    if (signal.aborted) return;
    try {
      const result = handle(chunk);
      if (result === undefined) return;
      resolve({ kind: "stopped", result });
    } catch (error) {
      reject(error);
    }
    isDone = true;
  };
  body.read(onChunk).then(
    () => resolve(signal.aborted ? { kind: "failed", error: signal.reason } : { kind: "ended" }),
    (error: unknown) => resolve({ kind: "failed", error }),
  );
  return promise;
}
