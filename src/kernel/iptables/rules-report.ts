import { FAMILIES, type IPFamily } from "../../model/address.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import type { NodeSetup, RulesReport, TableState } from "../kernel.ts";
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

/** The families of which there are rules. */
export function ruledFamilies(rules: NodeSetup["rules"]): readonly IPFamily[] {
  return FAMILIES.filter((family) => rules[family] !== undefined);
}

/** The name of a table of a family. */
export function keyOf(family: IPFamily, { name }: Pick<RuleTable, "name">): string {
  return `${family} ${name}`;
}

/** Returns the state of each table of these rules; `right` are the names of those that are as desired. */
export function tableStates(rules: NodeSetup["rules"], right: ReadonlySet<string>): readonly TableState[] {
  return ruledFamilies(rules).flatMap((family) =>
    (rules[family]?.tables ?? []).map((table) => ({
      family,
      table: table.name,
      isDesired: right.has(keyOf(family, table)),
    })),
  );
}
