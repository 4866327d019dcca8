import type { IPFamily } from "../../model/address.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import type { NodeSetup, RulesReport } from "../kernel.ts";
import { type RunProcess, runProcess } from "../run-process.ts";
import { findIptables, type IptablesTools, type IptablesVariant, programName } from "./find.ts";
import {
  overtakers,
  ownPart,
  parseSave,
  removalText,
  restoreText,
  type SavedTable,
  type Tolerates,
} from "./save-format.ts";

/** The rules of one family could not be read, or one table of it not written. The others are not concerned. */
export class IptablesError extends Error {
  override readonly name = "IptablesError";
  readonly family: IPFamily;
  /** What the program said. */
  readonly stderr: string;
  /** The line of ours that it complained about; "" if it named none. */
  readonly line: string;

  /** `task` is what could not be done: `write iptables table "nat"`. */
  constructor(task: string, family: IPFamily, stderr: string, line = "") {
    super(`Cannot ${task} of ${family}: ${stderr.trim()}${line === "" ? "" : ` (line "${line}")`}`);
    this.family = family;
    this.stderr = stderr;
    this.line = line;
  }
}

export interface IptablesOptions {
  /** Which to use without looking; undefined finds out. */
  readonly variant?: IptablesVariant | undefined;
  readonly run?: RunProcess;
}

/**
 * The rules of this network namespace, by the programs of the node: the kernel has two tables of rules with two
 * interfaces, and the programs of a node know which is in use. One call at a time.
 */
export class IptablesClient {
  readonly #run: RunProcess;
  readonly #variant: IptablesVariant | undefined;
  #tools: IptablesTools | undefined;
  /** Per family and table: what was written, and how the program printed it if that was in other words. */
  readonly #printed = new Map<string, { readonly wanted: string; readonly printed: string }>();
  /** Per family and table: rules of others that our jumps were put before, or behind, once. */
  readonly #overtaken = new Map<string, ReadonlySet<string>>();

  constructor(options: IptablesOptions = {}) {
    this.#run = options.run ?? runProcess;
    this.#variant = options.variant;
  }

  /** Looks which programs to use, and for which of the families they work. */
  async find(families: readonly IPFamily[]): Promise<IptablesTools> {
    this.#tools = await findIptables(this.#run, families, this.#variant);
    return this.#tools;
  }

  /**
   * Makes the tables hold the rules, with one restore for each that differs; none is written that is already right. A
   * rule of others that stands where a jump of ours belongs is overtaken once: one that comes back is put there by
   * somebody who insists as well, and has its way.
   * Families without a working program are passed over: `find` has told.
   */
  apply(rules: NodeSetup["rules"]): Promise<RulesReport> {
    return this.#eachFamily(Object.keys(rules).filter(isFamily), async (seen) => {
      const written: RuleTable[] = [];
      const reports: RulesReport[] = [];
      for (const table of rules[seen.family]?.tables ?? [])
        reports.push(
          await reportOf(async () => {
            const change = await this.#write(seen, table);
            if (change !== undefined) written.push(table);
            return change;
          }),
        );
      if (written.length > 0) reports.push(await reportOf(() => this.#readBack(seen, written)));
      return merge(reports);
    });
  }

  /** Which tables `apply` would have to write, were it not for the place of our jumps among rules of others. Reads only. */
  differences(rules: NodeSetup["rules"]): Promise<RulesReport> {
    return this.#eachTable(rules, async ({ family, saved }, table) => {
      const isRight = restoreText(parseSave(saved, table.name), table, () => true) === undefined;
      return isRight ? undefined : `our rules in table "${table.name}" of ${family}`;
    });
  }

  /** Removes the chains and the jumps into them; what is not there is no matter. */
  remove(
    families: readonly IPFamily[],
    chains: Readonly<Partial<Record<RuleTable["name"], readonly string[]>>>,
  ): Promise<RulesReport> {
    return this.#eachFamily(families, async ({ tools, family, saved }) => {
      const reports: RulesReport[] = [];
      for (const table of Object.keys(chains).filter(isTable)) {
        const present = parseSave(saved, table);
        reports.push(await reportOf(() => this.#removeChains(tools, family, present, table, chains[table] ?? [])));
      }
      return merge(reports);
    });
  }

  #eachTable(
    rules: NodeSetup["rules"],
    work: (seen: SeenFamily, table: RuleTable) => Promise<string | undefined>,
  ): Promise<RulesReport> {
    return this.#eachFamily(Object.keys(rules).filter(isFamily), async (seen) => {
      const reports: RulesReport[] = [];
      for (const table of rules[seen.family]?.tables ?? []) reports.push(await reportOf(() => work(seen, table)));
      return merge(reports);
    });
  }

  /**
   * All tables of a family are read at once: to start a program costs more than what it prints. One family after the
   * other: each start holds up the event loop, and the program then wants the CPU.
   */
  async #eachFamily(
    families: readonly IPFamily[],
    work: (seen: SeenFamily) => Promise<RulesReport>,
  ): Promise<RulesReport> {
    const tools = this.#tools ?? (await this.find(families));
    const readAndWork = async (family: IPFamily) => {
      try {
        return await work({ tools, family, saved: await this.#save(tools, family) });
      } catch (error) {
        return { changed: [], failures: [failureOf(error)] };
      }
    };
    const reports: RulesReport[] = [];
    for (const family of families) if (tools.families.includes(family)) reports.push(await readAndWork(family));
    return merge(reports);
  }

  /** Makes one table right, if it is not. */
  async #write({ tools, family, saved }: SeenFamily, table: RuleTable): Promise<string | undefined> {
    const present = parseSave(saved, table.name);
    const text = restoreText(present, table, this.#tolerates(family, table));
    if (text === undefined) return undefined;
    const before = this.#printed.get(keyOf(family, table));
    if (before?.wanted === JSON.stringify(table) && before.printed === ownPart(present, table)) return undefined;
    await this.#restore(tools, family, table.name, text);
    return `wrote table "${table.name}" of ${family}`;
  }

  /** Learns how the program prints what was written; `saved` is what it printed before. All tables are read at once. */
  async #readBack({ tools, family, saved }: SeenFamily, tables: readonly RuleTable[]): Promise<undefined> {
    const now = await this.#save(tools, family);
    for (const table of tables) {
      const key = keyOf(family, table);
      const written = parseSave(now, table.name);
      const overtaken = overtakers(parseSave(saved, table.name), table.jumps);
      this.#overtaken.set(key, new Set(overtaken.map(({ from, rule }) => `${from} ${rule}`)));
      if (restoreText(written, table, this.#tolerates(family, table)) === undefined) this.#printed.delete(key);
      else this.#printed.set(key, { wanted: JSON.stringify(table), printed: ownPart(written, table) });
    }
  }

  #tolerates(family: IPFamily, table: RuleTable): Tolerates {
    return (from, rule) => this.#overtaken.get(keyOf(family, table))?.has(`${from} ${rule}`) === true;
  }

  async #removeChains(
    tools: IptablesTools,
    family: IPFamily,
    saved: SavedTable,
    table: RuleTable["name"],
    chains: readonly string[],
  ): Promise<string | undefined> {
    const text = removalText(saved, table, chains);
    if (text === undefined) return undefined;
    await this.#restore(tools, family, table, text);
    return `removed our chains from table "${table}" of ${family}`;
  }

  async #save(tools: IptablesTools, family: IPFamily): Promise<string> {
    const { code, stdout, stderr } = await this.#run(programName(tools.infix, family, "-save"), []);
    if (code !== 0) throw new IptablesError("read iptables rules", family, stderr);
    return stdout;
  }

  async #restore(tools: IptablesTools, family: IPFamily, table: RuleTable["name"], text: string): Promise<void> {
    const wait = tools.modern ? ["-w", "5"] : [];
    const program = programName(tools.infix, family, "-restore");
    const { code, stderr } = await this.#run(program, ["--noflush", ...wait], text);
    if (code === 0) return;
    // Both variants name the line of their input: "Error occurred at line: 7", "line 7: ...", "line 7 failed".
    const line = Number(/\bline:? (\d+)/.exec(stderr)?.[1] ?? 0);
    throw new IptablesError(`write iptables table "${table}"`, family, stderr, text.split("\n")[line - 1]);
  }
}

function keyOf(family: IPFamily, { name }: RuleTable): string {
  return `${family} ${name}`;
}

/** A family with what its program printed of all its tables. */
interface SeenFamily {
  readonly tools: IptablesTools;
  readonly family: IPFamily;
  readonly saved: string;
}

async function reportOf(work: () => Promise<string | undefined>): Promise<RulesReport> {
  try {
    const changed = await work();
    return { changed: changed === undefined ? [] : [changed], failures: [] };
  } catch (error) {
    return { changed: [], failures: [failureOf(error)] };
  }
}

/** Throws what is none. */
function failureOf(error: unknown): IptablesError {
  if (error instanceof IptablesError) return error;
  throw error;
}

function merge(reports: readonly RulesReport[]): RulesReport {
  return {
    changed: reports.flatMap(({ changed }) => changed),
    failures: reports.flatMap(({ failures }) => failures),
  };
}

function isFamily(text: string): text is IPFamily {
  return text === "IPv4" || text === "IPv6";
}

function isTable(text: string): text is RuleTable["name"] {
  return text === "nat" || text === "filter" || text === "mangle";
}
