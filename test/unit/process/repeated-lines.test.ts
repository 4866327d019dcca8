import { expect, test } from "vitest";
import { createLogger } from "../../../src/process/log.ts";

function logger() {
  const lines: string[] = [];
  let nowMs = 0;
  const log = createLogger(
    { level: "info", format: "text", now: () => nowMs },
    { write: (line) => lines.push(line.replace(/^\S+ (\w+) +/, "$1 ").trim()) },
  );
  const advance = (ms: number) => {
    nowMs += ms;
  };
  return { lines, log, advance };
}

test("a warning that repeats is logged once, and after ten minutes again with the number of its repetitions", () => {
  const { lines, log, advance } = logger();
  for (let second = 0; second < 1_500; second++) {
    log.warn({ path: "/k" }, "cannot reload");
    advance(1000);
  }
  expect(lines).toEqual([
    'WARN cannot reload path="/k"',
    'WARN cannot reload path="/k" repeated=599',
    'WARN cannot reload path="/k" repeated=599',
  ]);
});

test("another text, field or level is another line", () => {
  const { lines, log } = logger();
  log.warn({ a: 1 }, "one");
  log.warn({ a: 2 }, "one");
  log.warn({ a: 1 }, "two");
  log.error({ a: 1 }, "one");
  log.error({ err: new Error("x") }, "one");
  log.error({ err: new Error("y") }, "one");
  log.error({ err: new Error("y") }, "one");
  expect(lines).toHaveLength(6);
});

test("after a line of level info a warning is news", () => {
  const { lines, log } = logger();
  log.warn({}, "fails");
  log.warn({}, "fails");
  log.info({}, "no longer fails");
  log.warn({}, "fails");
  log.info({}, "no longer fails");
  log.info({}, "no longer fails");
  expect(lines).toEqual([
    "WARN fails",
    "INFO no longer fails",
    "WARN fails repeated=1",
    "INFO no longer fails",
    "INFO no longer fails",
  ]);
});

test("the memory for lines is bounded: a line that was seen long ago is news", () => {
  const { lines, log } = logger();
  for (let number = 0; number <= 100; number++) log.warn({ number }, "x");
  log.warn({ number: 0 }, "x");
  log.warn({ number: 100 }, "x");
  expect(lines).toHaveLength(102);
});

test("without a clock each line is logged", () => {
  const lines: string[] = [];
  const log = createLogger({ level: "info", format: "text" }, { write: (line) => lines.push(line) });
  log.warn({}, "fails");
  log.warn({}, "fails");
  expect(lines).toHaveLength(2);
});
