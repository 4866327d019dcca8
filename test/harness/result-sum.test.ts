import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cellsOf, withMatrix } from "../support/run/results/matrix.ts";
import { type RecordLine, sumResults, type TestState } from "../support/run/results/result-sum.ts";

const FILE = "a.test.ts";
const began = (...tests: readonly string[]): RecordLine => ({ kind: "file began", file: FILE, tests });
const result = (name: string, state: TestState): RecordLine => ({ kind: "test", file: FILE, test: name, state });
const ended = (failed = false): RecordLine => ({ kind: "file ended", file: FILE, failed });

describe("the final result counts, if", () => {
  test.each<[title: string, lines: readonly RecordLine[], sum: string, remarks: readonly string[]]>([
    ["all passed", [began("1"), result("1", "passed"), ended()], "1 passed, 0 failed, 0 skipped", []],
    [
      "one failed",
      [began("1", "2"), result("1", "failed"), result("2", "passed"), ended(true)],
      "1 passed, 1 failed, 0 skipped",
      [],
    ],
    [
      "a hook was late, so that its tests did not run",
      [began("1", "2", "3"), result("1", "passed"), result("2", "not run"), result("3", "not run"), ended(true)],
      "1 passed, 2 failed, 0 skipped",
      ["2 of 3 tests of a.test.ts did not run"],
    ],
    [
      "a hook after the tests failed",
      [began("1"), result("1", "passed"), ended(true)],
      "1 passed, 1 failed, 0 skipped",
      [],
    ],
    ["the file cannot be loaded", [ended(true)], "0 passed, 1 failed, 0 skipped", []],
    [
      "its run was killed in the second test",
      [began("1", "2", "3"), result("1", "passed")],
      "1 passed, 2 failed, 0 skipped",
      ["a.test.ts was running when its run ended; 1 of 3 tests had finished"],
    ],
    [
      "its run was killed after the last test",
      [began("1"), result("1", "passed")],
      "1 passed, 1 failed, 0 skipped",
      ["a.test.ts was running when its run ended; 1 of 1 tests had finished"],
    ],
    ["nobody ran it", [], "0 passed, 1 failed, 0 skipped", ["no result of a.test.ts"]],
    [
      "a test is marked to be skipped",
      [began("1", "2"), result("1", "skipped"), result("2", "passed"), ended()],
      "1 passed, 0 failed, 1 skipped",
      ["1 of 2 tests of a.test.ts were skipped"],
    ],
    [
      "a result is recorded twice",
      [began("1"), result("1", "passed"), result("1", "passed"), ended()],
      "1 passed, 0 failed, 0 skipped",
      [],
    ],
  ])("when %s", (_, lines, sum, remarks) => {
    const { passed, failed, skipped, remarks: found } = sumResults(lines, [FILE]);
    expect(`${passed} passed, ${failed} failed, ${skipped} skipped`).toBe(sum);
    expect(found).toEqual(remarks);
  });

  test("a record that ends early loses no test that had begun and is never green", () => {
    const counts = fc.array(fc.nat(4), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(counts, fc.nat(), (sizes, where) => {
        const lines = sizes.flatMap((size, index): RecordLine[] => {
          const file = `${index}.test.ts`;
          const tests = Array.from({ length: size }, (_, number) => `${number}`);
          return [
            { kind: "file began", file, tests },
            ...tests.map((name): RecordLine => ({ kind: "test", file, test: name, state: "passed" })),
            { kind: "file ended", file, failed: false },
          ];
        });
        const cut = lines.slice(0, where % lines.length);
        const sum = sumResults(
          cut,
          sizes.map((_, index) => `${index}.test.ts`),
        );
        const begun = cut.reduce((total, line) => total + (line.kind === "file began" ? line.tests.length : 0), 0);
        expect(sum.failed).toBeGreaterThan(0);
        expect(sum.passed + sum.failed).toBeGreaterThanOrEqual(begun);
        expect(sum.passed).toBe(cut.filter(({ kind }) => kind === "test").length);
      }),
    );
  });
});

const FLOWS = "test/e2e/flows/flows.test.ts";
const CONTRACT = "test/kernel/netlink.real.test.ts";
const fileBegan = (file: string, ...tests: readonly string[]): RecordLine => ({ kind: "file began", file, tests });
const fileTest = (file: string, name: string): RecordLine => ({ kind: "test", file, test: name, state: "passed" });
const fileEnded = (file: string, ms: number): RecordLine => ({ kind: "file ended", file, failed: false, ms });

const LINES = [
  fileBegan(FLOWS, "1", "2"),
  fileTest(FLOWS, "1"),
  fileTest(FLOWS, "2"),
  fileEnded(FLOWS, 40_600),
  fileBegan(CONTRACT, "1", "2"),
  fileTest(CONTRACT, "1"),
];

test("a suite has its passed tests and its seconds; a test without a result has not passed", () => {
  expect(cellsOf("5.10", LINES)).toEqual([
    { kernel: "5.10", suite: "e2e/flows", passed: 2, total: 2, seconds: 41 },
    { kernel: "5.10", suite: "kernel", passed: 1, total: 2, seconds: 0 },
  ]);
});

test("the table gets the cells of a run and keeps the others", () => {
  const kernels = ["6.1", "5.10"];
  const first = withMatrix("before\n<!-- kernels -->\n<!-- /kernels -->\nafter", kernels, cellsOf("6.1", LINES));
  const both = withMatrix(first, kernels, cellsOf("5.10", LINES.slice(0, 4)));
  const table = [
    "| suite       | 6.1           | 5.10      |",
    "| ----------- | ------------- | --------- |",
    "| `e2e/flows` | 2 in 41 s     | 2 in 41 s |",
    "| `kernel`    | 1 of 2 in 0 s |           |",
  ];
  expect(both).toBe(["before", "<!-- kernels -->", "", ...table, "", "<!-- /kernels -->", "after"].join("\n"));
});
