/** How a test ended. "not run" is a test that was to run and did not: a hook before it failed or was late. */
export type TestState = "passed" | "failed" | "not run" | "skipped";

/** A line of a record, written as it happens, so that the record of a run that is killed holds all that came before. */
export type RecordLine =
  | { readonly kind: "file began"; readonly file: string; readonly tests: readonly string[] }
  | { readonly kind: "test"; readonly file: string; readonly test: string; readonly state: TestState }
  /** `failed` also when something besides its tests failed. `ms` is the time of its tests and hooks. */
  | { readonly kind: "file ended"; readonly file: string; readonly failed: boolean; readonly ms?: number };

export interface ResultSum {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** How many of `skipped` are files for which the run had no time. */
  readonly leftOut?: number;
  /** What nobody has said in the output of a test, each a line. */
  readonly remarks: readonly string[];
}

/**
 * The sum over all records. Every test of every file must have a result: one without counts as failed, be it that its hook
 * failed or that its run was killed. So does a file that is in no record, and whatever failed in a file besides its tests.
 */
export function sumResults(lines: readonly RecordLine[], files: readonly string[]): ResultSum {
  const byFile = Map.groupBy(lines, ({ file }) => file);
  const states: TestState[] = [];
  const remarks: string[] = [];
  let others = 0;
  for (const file of files) {
    const { tests, end } = resultsOf(byFile.get(file) ?? []);
    const found = [...tests.values()];
    states.push(...found);
    remarks.push(...remarksOn(file, found, end));
    if (end !== "passed" && count(found, "failed", "not run") === 0) others++;
  }
  return {
    passed: count(states, "passed"),
    failed: count(states, "failed", "not run") + others,
    skipped: count(states, "skipped"),
    remarks,
  };
}

/** The sum of a job for which the run had no time: each file counts as one skipped test. */
export function leftOutSum(files: readonly string[]): ResultSum {
  const remarks = files.map((file) => `${file} was left out: the run was not given the time`);
  return { passed: 0, failed: 0, skipped: files.length, leftOut: files.length, remarks };
}

function remarksOn(file: string, found: readonly TestState[], end: FileResults["end"]): readonly string[] {
  if (end === "missing") return [`no result of ${file}`];
  const [late, skipped] = [count(found, "not run"), count(found, "skipped")];
  const all = `${found.length} tests`;
  return [
    ...(end === "killed"
      ? [`${file} was running when its run ended; ${found.length - late} of ${all} had finished`]
      : []),
    ...(end !== "killed" && late > 0 ? [`${late} of ${all} of ${file} did not run`] : []),
    ...(skipped > 0 ? [`${skipped} of ${all} of ${file} were skipped`] : []),
  ];
}

function count(states: readonly TestState[], ...wanted: readonly TestState[]): number {
  return states.filter((state) => wanted.includes(state)).length;
}

interface FileResults {
  readonly tests: ReadonlyMap<string, TestState>;
  readonly end: "passed" | "failed" | "killed" | "missing";
}

function resultsOf(lines: readonly RecordLine[]): FileResults {
  const tests = new Map<string, TestState>();
  let end: FileResults["end"] = "missing";
  for (const line of lines) {
    if (line.kind === "test") tests.set(line.test, line.state);
    else if (line.kind === "file ended") end = line.failed ? "failed" : "passed";
    else {
      end = "killed";
      for (const test of line.tests) tests.set(test, "not run");
    }
  }
  return { tests, end };
}
