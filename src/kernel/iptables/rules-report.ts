import type { RulesReport } from "../kernel.ts";
import { IptablesError } from "./programs.ts";

/** Returns the report of one step: what it has changed, or the IptablesError with which it failed. */
export async function reportOf(work: () => Promise<string | undefined>): Promise<RulesReport> {
  try {
    const changed = await work();
    return { changed: changed === undefined ? [] : [changed], failures: [] };
  } catch (error) {
    return { changed: [], failures: [failureOf(error)] };
  }
}

/** Returns an IptablesError; throws any other error. */
export function failureOf(error: unknown): IptablesError {
  if (error instanceof IptablesError) return error;
  throw error;
}

/** Returns all changes and failures of the reports. */
export function merge(reports: readonly RulesReport[]): RulesReport {
  return {
    changed: reports.flatMap(({ changed }) => changed),
    failures: reports.flatMap(({ failures }) => failures),
  };
}
