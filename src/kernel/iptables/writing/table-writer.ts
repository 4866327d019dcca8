import type { IPFamily } from "../../../model/address.ts";
import type { RuleTable } from "../../../model/kernel/rules.ts";
import type { RulesReport } from "../../kernel.ts";
import type { RunProcess } from "../../run-process.ts";
import type { IptablesTools } from "../find.ts";
import { keyOf } from "../rules-report.ts";
import { parseSave, restoreText } from "../save-format.ts";
import { otherWriter, TableContests } from "../table-contest.ts";
import { PrintedRules } from "./printed-rules.ts";
import { restoreTables, type TableInput } from "./restore.ts";

/** A family, with the output of its program for all tables. */
export interface SavedFamily {
  readonly tools: IptablesTools;
  readonly family: IPFamily;
  readonly saved: string;
}

/** A family as it was before these tables of it were written. */
export interface WrittenFamily extends SavedFamily {
  readonly tables: readonly RuleTable[];
}

/** The part of `IptablesTools` that a write needs. */
export type WritingTools = Pick<IptablesTools, "infix" | "backend" | "modern">;

/**
 * Decides which tables are written, and writes them. It tracks what it has written, from `begin` to `takeWritten` for one
 * `apply`. Families may be written side by side.
 */
export class TableWriter {
  readonly #run: RunProcess;
  readonly #printed = new PrintedRules();
  readonly #contests = new TableContests();
  /** The tables of families that were written, or were right. */
  readonly #known = new Set<string>();
  #right = new Set<string>();
  #otherProxies = new Set<string>();
  #written: WrittenFamily[] = [];
  /** The end of the last write of legacy. */
  #legacyWrite: Promise<unknown> = Promise.resolve();

  constructor(run: RunProcess) {
    this.#run = run;
  }

  /** Begins an `apply`. */
  begin(): void {
    this.#right = new Set();
    this.#otherProxies = new Set();
    this.#written = [];
  }

  /** Forgets how rules are printed: the tables of another backend are in use. */
  changeBackend(): void {
    this.#printed.clear();
  }

  /** The tables of families that this `apply` has found right or has written. */
  get right(): ReadonlySet<string> {
    return this.#right;
  }

  /** Other service proxies whose rules this `apply` has found. */
  get otherProxies(): ReadonlySet<string> {
    return this.#otherProxies;
  }

  addOtherProxy(name: string): void {
    this.#otherProxies.add(name);
  }

  /** Returns the families that this `apply` has written, once. */
  takeWritten(): readonly WrittenFamily[] {
    const written = this.#written;
    this.#written = [];
    return written;
  }

  /** Records how the program prints what was written; `now` is its output for all tables after the write. */
  recordPrinted({ family, tables, saved }: WrittenFamily, now: string): void {
    this.#printed.record(family, tables, saved, now);
  }

  /** Writes the tables of a family that differ. `isContested` as in `apply` of the client. */
  async write(seen: SavedFamily, tables: readonly RuleTable[], isContested: boolean): Promise<RulesReport> {
    const due = tables.flatMap((table) => this.#inputFor(seen, table, isContested) ?? []);
    const { failed, report } = await this.#restoreAll(seen.tools, seen.family, due, "wrote table");
    const written = tables.filter(({ name }) => due.some(({ table }) => table === name) && !failed.has(name));
    for (const table of written) this.#recordRight(keyOf(seen.family, table));
    if (written.length > 0) this.#written.push({ ...seen, tables: written });
    return report;
  }

  /** Changes tables of a family. `done` begins the text of each change. */
  async restore(tools: WritingTools, family: IPFamily, inputs: readonly TableInput[], done: string) {
    return (await this.#restoreAll(tools, family, inputs, done)).report;
  }

  async #restoreAll(tools: WritingTools, family: IPFamily, inputs: readonly TableInput[], done: string) {
    const failed = await this.#inTurn(tools, () => restoreTables(this.#run, tools, family, inputs));
    const changed = inputs
      .filter(({ table }) => !failed.has(table))
      .map(({ table }) => `${done} "${table}" of ${family}`);
    return { failed, report: { changed, failures: [...failed.values()] } };
  }

  /** Returns the input that writes a table; undefined if it is right, or is left to another proxy this time. */
  #inputFor({ family, saved }: SavedFamily, table: RuleTable, isContested: boolean): TableInput | undefined {
    const present = parseSave(saved, table.name);
    const text = restoreText(present, table, this.#printed.tolerates(family, table));
    const key = keyOf(family, table);
    if (text === undefined) {
      this.#recordRight(key);
      this.#contests.recordRight(key);
      return undefined;
    }
    if (this.#printed.isUnchanged(family, table, present)) {
      this.#right.add(key);
      return undefined;
    }
    const wasWritten = this.#known.has(key);
    const writer = wasWritten ? otherWriter(present, table) : undefined;
    if (writer !== undefined) this.#otherProxies.add(writer);
    if ((writer !== undefined || (wasWritten && isContested)) && !this.#contests.mayWrite(key)) return undefined;
    return { table: table.name, text };
  }

  #recordRight(key: string): void {
    this.#known.add(key);
    this.#right.add(key);
  }

  /**
   * Programs of legacy that write take one lock, for both families: they run one after the other, because old ones look for
   * it once a second.
   */
  #inTurn<Result>({ backend }: WritingTools, write: () => Promise<Result>): Promise<Result> {
    if (backend !== "legacy") return write();
    const result = this.#legacyWrite.then(write);
    this.#legacyWrite = result;
    return result;
  }
}
