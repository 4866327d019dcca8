import { expect, test } from "vitest";
import { createLogger } from "../../../src/process/log.ts";
import { LogTail } from "../../../src/process/log-tail.ts";

function tailed(isFull = false) {
  const written: string[] = [];
  const tail = new LogTail({ write: (line) => written.push(line), isFull: () => isFull });
  return { written, tail, logger: createLogger({ level: "info", format: "text" }, tail) };
}

test("the last thousand lines are kept, and all are written", () => {
  const { written, tail, logger } = tailed();
  for (let number = 0; number < 1_500; number++) logger.info({ number }, "line");
  expect(written).toHaveLength(1_500);
  expect(tail.lines()).toHaveLength(1_000);
  expect(tail.lines()[0]).toMatch(/ INFO {2}line number=500$/);
  expect(tail.lines().at(-1)).toMatch(/number=1499$/);
});

test("long lines are kept in half a megabyte", () => {
  const { tail, logger } = tailed();
  for (let number = 0; number < 100; number++) logger.info({ number, text: "x".repeat(50_000) }, "line");
  expect(tail.lines().join("").length).toBeLessThanOrEqual(500_000);
  expect(tail.lines().at(-1)).toContain("number=99");
});

test("a reader that is too slow is reported as before", () => {
  const { written, logger } = tailed(true);
  logger.info({}, "line");
  expect(written).toEqual([]);
});

test.each([
  ["authorization: Bearer abc.def-ghi/=", "authorization: Bearer (left out)"],
  ["token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln seen", "token (token left out) seen"],
  ['Cannot get credentials: exec plugin "x" printed SECRET', "Cannot get credentials: (left out)"],
])("%s is told without the secret", (text, expected) => {
  const { tail, logger } = tailed();
  logger.warn({ cause: text, after: 1 }, "refused");
  expect(tail.lines()[0]).toContain(`refused cause="${expected}`);
  expect(tail.lines()[0]).toMatch(/after=1$/);
  expect(tail.lines()[0]).not.toMatch(/SECRET|abc\.def|c2ln/);
});
