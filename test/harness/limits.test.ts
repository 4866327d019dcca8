import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const FILES = globSync(["test/**/*.ts", "examples/*.ts", "vitest.config.ts"], { cwd: ROOT })
  .filter((file) => !file.endsWith("harness/limits.test.ts"))
  .toSorted();

/** Limits of time that no patience multiplies: a machine that is slower than the one they were chosen on fails them. */
const LIMITS: readonly (readonly [what: string, pattern: RegExp, use: string])[] = [
  ["a wait of vitest", /\b(vi\.waitFor|vi\.waitUntil|expect\s*\.poll)\(/, "eventually"],
  ["a timeout of a test, a hook or a wait", /\b(timeout|testTimeout|hookTimeout): *\d[\d_]{2,}\b/, "patient"],
  ["a timeout after the function of a test or a hook", /^\}, \d[\d_]{2,}\);$/m, "patient"],
  ["a timeout as the last argument of a test or a hook", /^ {2}[\d_]{4,},\n\);$/m, "patient"],
];

describe("no test has a plain number as its time limit", () => {
  test.each(LIMITS)("%s", (_, pattern, use) => {
    const found = FILES.filter((file) => pattern.test(readFileSync(join(ROOT, file), "utf8")));
    expect(
      found.filter((file) => file !== "test/support/time/eventually.ts"),
      `use ${use} of test/support`,
    ).toEqual([]);
  });

  test.each([
    ["await vi.waitFor(() => {});", 0],
    ["await expect\n    .poll(ask)", 0],
    ["test('x', { timeout: 30_000 }, run);", 1],
    ["  testTimeout: 5000,", 1],
    ["beforeAll(async () => {\n}, 60_000);\n", 2],
    ["test(\n  'x',\n  run,\n  60_000,\n);", 3],
  ] as const)("%j is a limit of its own", (text, limit) => {
    expect(LIMITS[limit]?.[1].test(text)).toBe(true);
  });
});
