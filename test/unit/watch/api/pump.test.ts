import { expect, test } from "vitest";
import { pump } from "../../../../src/watch/pump.ts";

async function* chunks(count: number, bytes: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield new Uint8Array(bytes);
}

const never = new AbortController().signal;

test("a large body leaves the event loop its turns", async () => {
  let turns = 0;
  let reading = true;
  const count = () => {
    turns++;
    if (reading) setImmediate(count);
  };
  setImmediate(count);
  await pump(chunks(160, 16_384), never, () => undefined);
  reading = false;
  // 160 chunks that are all there already, and four to a turn.
  expect(turns).toBeGreaterThanOrEqual(39);
});

test("nothing is handled after an abort, even of what has already come", async () => {
  const stop = new AbortController();
  let handled = 0;
  const pumped = await pump(chunks(10, 100), stop.signal, () => {
    handled++;
    if (handled === 3) stop.abort();
    return undefined;
  });
  expect([pumped.kind, handled]).toEqual(["failed", 3]);
});

test("what the body throws is an end, what the handler throws is not caught", async () => {
  const failing: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("reset")) }),
  };
  expect(await pump(failing, never, () => undefined)).toMatchObject({ kind: "failed", error: { message: "reset" } });
  const bug = () => {
    throw new Error("bug");
  };
  await expect(pump(chunks(1, 1), never, bug)).rejects.toThrow("bug");
});
