import { appendFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import type { RecordLine, TestState } from "./result-sum.ts";

const { TEST_RECORD: PATH } = process.env;

/** Appends results to the file that TEST_RECORD names, each when it is there: a killed run leaves those that it had. */
export class RecordReporter implements Reporter {
  onTestModuleStart(module: TestModule): void {
    const tests = [...module.children.allTests()].map(({ id }) => id);
    write({ kind: "file began", file: fileOf(module), tests });
  }

  onTestCaseResult(test: TestCase): void {
    write({ kind: "test", file: fileOf(test.module), test: test.id, state: stateOf(test) });
  }

  onTestModuleEnd(module: TestModule): void {
    // Once more, for those that were kept from running have no result of their own.
    for (const test of module.children.allTests()) this.onTestCaseResult(test);
    const failed = module.state() === "failed";
    write({ kind: "file ended", file: fileOf(module), failed, ms: Math.round(module.diagnostic().duration) });
  }
}

function stateOf(test: TestCase): TestState {
  const { state } = test.result();
  if (state === "passed" || state === "failed") return state;
  const { mode } = test.options;
  return state === "skipped" && (mode === "skip" || mode === "todo") ? "skipped" : "not run";
}

function fileOf({ moduleId }: TestModule): string {
  return relative(process.cwd(), moduleId);
}

function write(line: RecordLine): void {
  if (PATH !== undefined) appendFileSync(PATH, `${JSON.stringify(line)}\n`);
}
