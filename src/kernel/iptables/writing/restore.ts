import type { IPFamily } from "../../../model/address.ts";
import type { RuleTable } from "../../../model/kernel/rules.ts";
import type { ProcessResult, RunProcess } from "../../run-process.ts";
import { type Infix, IptablesError, isLockTaken, NO_PROGRAM, programName } from "../programs.ts";

/** The exit code of a program that was killed because it took too long. */
const TIMEOUT = 124;

/** The input of iptables-restore for one table: its name as in "*nat", lines, and COMMIT. */
export interface TableInput {
  readonly table: RuleTable["name"];
  readonly text: string;
}

/**
 * Changes tables of a family by one iptables-restore, because the start of a program takes longer than a table. `modern` is
 * whether iptables-restore has the option -w. Returns the failure of each table that was not written.
 *
 * Both backends commit a table at its line COMMIT and end at the first failure. So the tables before the failed line are
 * written, and those after it follow in another restore. If the failure names no line, each table is written alone, unless
 * it concerns all of them: the program is missing, was killed after its timeout, or did not get the lock.
 */
export async function restoreTables(
  run: RunProcess,
  tools: { readonly infix: Infix; readonly modern: boolean },
  family: IPFamily,
  inputs: readonly TableInput[],
): Promise<ReadonlyMap<RuleTable["name"], IptablesError>> {
  const failures = new Map<RuleTable["name"], IptablesError>();
  let rest: readonly TableInput[] = inputs;
  while (rest.length > 0) {
    const result = await restore(run, tools, family, rest);
    if (result.code === 0) break;
    const failed = failedTable(rest, result);
    for (const { table } of failed.tables) failures.set(table, errorOf(table, family, result, failed.line));
    if (failed.tables.length === 0)
      for (const input of rest)
        for (const [table, error] of await restoreTables(run, tools, family, [input])) failures.set(table, error);
    rest = failed.rest;
  }
  return failures;
}

function restore(
  run: RunProcess,
  { infix, modern }: { readonly infix: Infix; readonly modern: boolean },
  family: IPFamily,
  inputs: readonly TableInput[],
): Promise<ProcessResult> {
  const program = programName(infix, family, "-restore");
  const text = inputs.map((input) => input.text).join("");
  return run(program, ["--noflush", ...(modern ? ["-w", "5"] : [])], text);
}

/** The tables to which a failure belongs, the input line that it names, and the tables that follow. */
interface Failed {
  /** None: it is not known. */
  readonly tables: readonly TableInput[];
  readonly line: string;
  readonly rest: readonly TableInput[];
}

function failedTable(inputs: readonly TableInput[], result: ProcessResult): Failed {
  const number = lineNumber(result.stderr);
  let before = 0;
  for (const [index, input] of inputs.entries()) {
    const lines = input.text.split("\n");
    const line = number > before ? lines[number - before - 1] : undefined;
    // The last line is the empty text after COMMIT.
    if (line !== undefined && line !== "") return { tables: [input], line, rest: inputs.slice(index + 1) };
    before += lines.length - 1;
  }
  const concernsAll = inputs.length === 1 || [NO_PROGRAM, TIMEOUT].includes(result.code) || isLockTaken(result);
  return { tables: concernsAll ? inputs : [], line: "", rest: [] };
}

/** Both backends name the line of their input: "Error occurred at line: 7", "line 7: ...", "line 7 failed". */
function lineNumber(stderr: string): number {
  return Number(/\bline:? (\d+)/.exec(stderr)?.[1] ?? 0);
}

function errorOf(table: RuleTable["name"], family: IPFamily, result: ProcessResult, line: string): IptablesError {
  return new IptablesError(`write iptables table "${table}"`, family, result, line);
}
