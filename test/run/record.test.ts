import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RecordLine, sumResults } from "../support/run/results/result-sum.ts";
import { eventually } from "../support/time/eventually.ts";

const ROOT = join(import.meta.dirname, "../..");
const REPORTER = join(ROOT, "test/support/run/results/record-reporter.ts");
let folder = "";

// Below the root, so that vitest is found.
beforeAll(() => {
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  folder = mkdtempSync(join(ROOT, ".cache/record-"));
  const config = [
    `import { RecordReporter } from "${REPORTER}";`,
    `export default { test: { include: ["*.example.ts"], reporters: [new RecordReporter()] } };`,
  ];
  writeFileSync(join(folder, "vitest.config.ts"), config.join("\n"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs tests by vitest in a file of that name; returns the results recorded so far. */
function run(name: string, tests: string) {
  const file = `${name}.example.ts`;
  const record = join(folder, `${name}.jsonl`);
  writeFileSync(join(folder, file), `import { beforeAll, describe, expect, test } from "vitest";\n${tests}`);
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const env = { ...process.env, TEST_RECORD: record };
  const child = spawn(process.execPath, [vitest, "run", file], { cwd: folder, env, stdio: "ignore" });
  const lines = (): readonly RecordLine[] =>
    existsSync(record)
      ? readFileSync(record, "utf8")
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line))
      : [];
  return { child, lines, sum: () => sumResults(lines(), [file]) };
}

test("a killed run leaves its results and the name of the running file", async () => {
  const tests = `
    test("passes", () => {});
    test("fails", () => expect(1).toBe(2));
    test("never ends", () => new Promise(() => {}), 2 ** 30);
    test("never begins", () => {});`;
  const { child, lines, sum } = run("killed", tests);
  await eventually(() => expect(lines().filter(({ kind }) => kind === "test")).toHaveLength(2), { withinMs: 30_000 });
  child.kill("SIGKILL");
  await once(child, "close");
  expect(sum()).toEqual({
    passed: 1,
    failed: 3,
    skipped: 0,
    remarks: ["killed.example.ts was running when its run ended; 2 of 4 tests had finished"],
  });
});

test("tests whose hook timed out count as failed, tests that are marked to be skipped as skipped", async () => {
  const tests = `
    describe("late", () => {
      beforeAll(() => new Promise(() => {}), 50);
      test("one", () => {});
      describe("inside", () => test("another", () => {}));
    });
    test("passes", () => {});
    test.skip("is skipped", () => {});`;
  const { child, sum } = run("late", tests);
  await once(child, "close");
  expect(sum()).toMatchObject({ passed: 1, failed: 2, skipped: 1 });
});

test("a file that cannot be loaded counts as failed", async () => {
  const { child, sum } = run("broken", "throw new Error('broken');");
  await once(child, "close");
  expect(sum()).toMatchObject({ passed: 0, failed: 1, skipped: 0 });
});
