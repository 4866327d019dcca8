import { expect, test } from "vitest";
import { type Errno, errnoNamed } from "../../../../src/model/kernel/errno.ts";

test("a misspelt errno compiles neither in a comparison nor in a list", () => {
  const errno = errnoNamed("EEXIST");
  expect(errno === "EEXIST").toBe(true);
  // @ts-expect-error: no errno has the name
  expect(errno === "EEXITS").toBe(false);
  // @ts-expect-error: as above
  const list: readonly Errno[] = ["EEXIST", "EEXITS"];
  expect(list).toContain(errno);
});
