import { expect, test } from "vitest";
import { readBody } from "../../../../../src/sources/api/transport/read-body.ts";
import type { Body } from "../../../../../src/sources/api/transport/transport.ts";

/** So many chunks that arrive in one turn, then the end. */
function chunks(count: number, isWhole = true): Body {
  return {
    async read(onChunk) {
      for (let i = 0; i < count; i++) onChunk(new Uint8Array(100));
      if (!isWhole) throw new Error("reset");
    },
  };
}

const never = new AbortController().signal;

test("nothing is handled after an abort, even if it has already arrived", async () => {
  const stop = new AbortController();
  let handled = 0;
  const bodyEnd = await readBody(chunks(10), stop.signal, () => {
    handled++;
    if (handled === 3) stop.abort();
    return undefined;
  });
  expect([bodyEnd.kind, handled]).toEqual(["failed", 3]);
});

test("nothing is handled after the result, which does not wait for the end of the body", async () => {
  let handled = 0;
  const endless: Body = {
    read: (onChunk) => {
      for (let i = 0; i < 10; i++) onChunk(new Uint8Array(100));
      return new Promise(() => {});
    },
  };
  const bodyEnd = await readBody(endless, never, () => (++handled === 3 ? "enough" : undefined));
  expect([bodyEnd, handled]).toEqual([{ kind: "stopped", result: "enough" }, 3]);
});

test("a body that fails ends with the failure", async () => {
  expect(await readBody(chunks(1, false), never, () => undefined)).toMatchObject({
    kind: "failed",
    error: { message: "reset" },
  });
});

test("an exception of the handler is not caught, and the handler is not called again", async () => {
  let handled = 0;
  const bug = () => {
    handled++;
    throw new Error("bug");
  };
  await expect(readBody(chunks(2), never, bug)).rejects.toThrow("bug");
  expect(handled).toBe(1);
});
