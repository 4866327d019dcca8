import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parametersLength } from "../../bench/trace/functions.ts";
import { MOST_STEPS, stepsOf } from "../../bench/trace/page.ts";
import { purposeOf } from "../../bench/trace/purpose.ts";
import type { Call } from "../../bench/trace/recorder.ts";
import { wayOf } from "../../bench/trace/way.ts";

const ROOT = join(import.meta.dirname, "../..");
const calls = (...texts: readonly string[]): readonly Call[] =>
  texts.map((text) => {
    const [file = "", name = "", caller] = text.split(" ");
    return { file, name, caller };
  });

const page = readFileSync(join(ROOT, "docs/trace.md"), "utf8");

test("docs/trace.md names files that exist: npm run trace", () => {
  const files = [...page.matchAll(/\*\*(\S+\.ts)\*\*/g)].map(([, file = ""]) => file);
  expect(files.length).toBeGreaterThan(40);
  expect(files.filter((file) => !existsSync(join(ROOT, "src", file)))).toEqual([]);
});

test(`docs/trace.md states the number of its steps, which is at most ${MOST_STEPS}: npm run trace`, () => {
  const [, stated] = /^\| steps: .* (\d+) \|$/m.exec(page) ?? [];
  const steps = page.match(/^\d+\. \*\*/gm) ?? [];
  expect(steps.length).toBeGreaterThan(0);
  expect(Number(stated)).toBe(steps.length);
  expect(steps.length).toBeLessThanOrEqual(MOST_STEPS);
});

describe("the path of a trace", () => {
  const way = wayOf(
    calls(
      "sources/watch.ts read",
      "agent.ts accept sources/watch.ts",
      "agent.ts #advance agent.ts",
      "model/keys.ts take agent.ts",
      "sync/plan.ts <initializer> agent.ts",
      "sync/plan.ts plan agent.ts",
      "kernel/netlink/socket.ts send agent.ts",
      "kernel/netlink/socket.ts receive",
      "agent.ts onSync kernel/netlink/socket.ts",
      "serve/metrics.ts record agent.ts",
    ),
  );

  test("ends with the last call by the event loop of the netlink code", () => {
    expect(way.before.map(({ file }) => file)).toEqual([
      "sources/watch.ts",
      "agent.ts",
      "model/keys.ts",
      "sync/plan.ts",
      "kernel/netlink/socket.ts",
    ]);
    expect(way.after.map(({ file }) => file)).toEqual(["agent.ts", "serve/metrics.ts"]);
  });

  test("names functions in the order of their first call, and no initializers", () => {
    expect(way.before.map(({ functions }) => functions.join())).toEqual([
      "read",
      "accept,#advance",
      "take",
      "plan",
      "send,receive",
    ]);
  });

  test("counts the calls of the agent by other files", () => {
    expect([...way.returns].map(([file, { length }]) => [file, length])).toEqual([
      ["sources/watch.ts", 1],
      ["kernel/netlink/socket.ts", 1],
    ]);
  });

  test("has a step for each file that calls others, with the files that call none as its helpers", () => {
    expect(stepsOf(way.before).map(({ visit, helpers }) => [visit.file, ...helpers.map(({ file }) => file)])).toEqual([
      ["sources/watch.ts"],
      ["agent.ts", "sync/plan.ts", "kernel/netlink/socket.ts"],
    ]);
  });
});

test.each([
  ["/** A word. */\nconst A = 1;\n/** Plans it: all. More. */\nexport function planServer() {}", "Plans it."],
  ["/** A word. */\nconst A = 1;\n/**\n * Two\n * lines.\n */\nexport class Other {}", "Two lines."],
  ["/** A word */\nconst A = 1;", "A word"],
  ["const A = 1;", ""],
])("the purpose in %j is %j", (source, purpose) => {
  expect(purposeOf("sync/plan-server.ts", source)).toBe(purpose);
});

test.each([
  ["function f(a = g()) { return a; }", "function f(a = g())"],
  ["#take(a) {}", "#take(a)"],
  ["({ key }) => key", "({ key })"],
  ["a => f(a)", ""],
])("the parameters of %j end after %j", (source, head) => {
  expect(source.slice(0, parametersLength(source))).toBe(head);
});
