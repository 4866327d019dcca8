import { expect, test } from "vitest";
import { createLogger, type LogOptions, levelOf } from "../../../src/process/log.ts";

function logged(options: LogOptions): readonly string[] {
  const lines: string[] = [];
  const logger = createLogger(options, { write: (line) => lines.push(line) });
  logger.error({ err: new Error("no kernel") }, "cannot sync");
  logger.warn({ key: "TCP/10.0.0.1:80", count: 2 }, "refused");
  logger.info({}, "started");
  logger.debug({}, "changed");
  return lines;
}

test("a json log has one object a line with ISO time, level as a word, fields and message", () => {
  const [error, warn, ...rest] = logged({ level: "info", format: "json" }).map((line) => JSON.parse(line));
  expect(error).toMatchObject({ level: "error", msg: "cannot sync", err: "no kernel" });
  expect(warn).toEqual({
    level: "warn",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    key: "TCP/10.0.0.1:80",
    count: 2,
    msg: "refused",
  });
  expect(rest).toEqual([expect.objectContaining({ level: "info" })]);
});

test("a text log has lines of time, level, message and fields", () => {
  const lines = logged({ level: "debug", format: "text" });
  expect(lines).toHaveLength(4);
  expect(lines[1]).toMatch(/^\d{4}-\S+Z WARN {2}refused key="TCP\/10\.0\.0\.1:80" count=2\n$/);
  expect(lines[2]).toMatch(/^\S+ INFO {2}started\n$/);
  for (const line of lines) expect(line.match(/\n/g)).toHaveLength(1);
});

test.each([
  [0, "info"],
  [3, "info"],
  [4, "debug"],
  [10, "debug"],
])("verbosity %d logs from level %s", (verbosity, level) => {
  expect(levelOf(verbosity)).toBe(level);
});

test("log lines that are not read are lost, and counted when there is room again", () => {
  const lines: string[] = [];
  let isFull = false;
  const logger = createLogger(
    { level: "info", format: "json" },
    { write: (line) => lines.push(JSON.parse(line).msg), isFull: () => isFull },
  );
  logger.info({}, "one");
  isFull = true;
  for (const message of ["two", "three"]) logger.info({}, message);
  isFull = false;
  logger.info({}, "four");
  expect(lines).toEqual(["one", "log lines were dropped, because the reader of the log was too slow", "four"]);
});

test.each(["json", "text"] as const)(
  "a log as %s has no field that moves a cursor, ends a line or changes the direction of text",
  (format) => {
    const lines: string[] = [];
    const logger = createLogger({ level: "info", format }, { write: (line) => lines.push(line) });
    logger.warn({ value: "\u001b[2J\r\n\u007f\u009b31m\u202egnp.exe\u2028" }, "rejected");
    expect(lines.join("")).toContain("\\u001b[2J\\r\\n\\u007f\\u009b31m\\u202egnp.exe\\u2028");
    expect(lines.join("")).toMatch(/^[\x20-\x7e]+\n$/);
  },
);

test("an error is its message with those of its causes, and its stack is logged from the level debug on", () => {
  const lines: string[] = [];
  const failure = new Error("cannot listen", { cause: new Error("EADDRINUSE") });
  const logger = createLogger({ level: "info", format: "json" }, { write: (line) => lines.push(line) });
  logger.error({ err: failure }, "failed");
  logger.level = "debug";
  logger.error({ err: failure }, "failed");
  const [short, long] = lines.map((line) => JSON.parse(line).err);
  expect(short).toBe("cannot listen: EADDRINUSE");
  expect(long.stack).toContain("log.test.ts");
});
