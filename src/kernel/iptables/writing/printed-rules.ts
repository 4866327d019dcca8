import type { IPFamily } from "../../../model/address.ts";
import type { RuleTable } from "../../../model/kernel/rules.ts";
import { keyOf } from "../rules-report.ts";
import {
  hasAllRules,
  ownPart,
  parseSave,
  restoreText,
  rulesAheadOfJumps,
  type SavedTable,
  type Tolerates,
} from "../save-format.ts";

/** What is known of the tables in use since the agent wrote them; see `record`. */
export class PrintedRules {
  /** For each family and table: the rules that were written, and how the program printed them if its text differs. */
  readonly #printed = new Map<string, { readonly wanted: string; readonly printed: string }>();
  /** For each family and table: rules of other programs that the agent moved its jumps ahead of once. */
  readonly #rulesAhead = new Map<string, ReadonlySet<string>>();

  /** Forgets everything: other tables are in use now. */
  clear(): void {
    this.#printed.clear();
    this.#rulesAhead.clear();
  }

  /** Whether the table is printed as it was after these rules were written. */
  isUnchanged(family: IPFamily, table: RuleTable, present: SavedTable): boolean {
    const before = this.#printed.get(keyOf(family, table));
    return before?.wanted === JSON.stringify(table) && before.printed === ownPart(present, table);
  }

  /** Returns whether a rule of another program may stay ahead of a jump of this table. */
  tolerates(family: IPFamily, table: RuleTable): Tolerates {
    return (from, rule) => this.#rulesAhead.get(keyOf(family, table))?.has(`${from} ${rule}`) === true;
  }

  /**
   * Records how the program prints the rules of tables that were written. `before` and `now` are its output for all tables
   * before and after the write.
   */
  record(family: IPFamily, tables: readonly RuleTable[], before: string, now: string): void {
    for (const table of tables) {
      const key = keyOf(family, table);
      const written = parseSave(now, table.name);
      const rulesAhead = rulesAheadOfJumps(parseSave(before, table.name), table.jumps);
      this.#rulesAhead.set(key, new Set(rulesAhead.map(({ from, rule }) => `${from} ${rule}`)));
      // Another program may have changed the rules since the write.
      const isOtherForm = restoreText(written, table, () => true) !== undefined && hasAllRules(written, table);
      if (isOtherForm) this.#printed.set(key, { wanted: JSON.stringify(table), printed: ownPart(written, table) });
      else this.#printed.delete(key);
    }
  }
}
