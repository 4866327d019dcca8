import type { IPFamily } from "../../model/address.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import type { NodeSetup, RulesReport } from "../kernel.ts";
import { type RunProcess, runProcess } from "../run-process.ts";
import { withCure } from "./cure.ts";
import { findIptables, type IptablesTools, type IptablesVariant, programName } from "./find.ts";
import {
  ownPart,
  parseSave,
  removalText,
  restoreText,
  rulesAheadOfJumps,
  type SavedTable,
  type Tolerates,
} from "./save-format.ts";

/**
 * The rules of one family could not be read, or one of its tables could not be written. Other families and tables are
 * not affected.
 */
export class IptablesError extends Error {
  override readonly name = "IptablesError";
  readonly family: IPFamily;
  /** The error output of the program. */
  readonly stderr: string;
  /** The input line that the program named in its error; "" if it named none. */
  readonly line: string;

  /** `task` is the operation that failed: `write iptables table "nat"`. */
  constructor(task: string, family: IPFamily, stderr: string, line = "") {
    super(`Cannot ${task} of ${family}: ${withCure(stderr)}${line === "" ? "" : ` (line "${line}")`}`);
    this.family = family;
    this.stderr = stderr;
    this.line = line;
  }
}

export interface IptablesOptions {
  /** The variant to use; undefined: `find` detects it. */
  readonly variant?: IptablesVariant | undefined;
  readonly run?: RunProcess;
}

/**
 * Reads and writes the rules of this network namespace by the iptables programs of the node. The kernel has two
 * separate rule tables with two interfaces, and these programs use the table that is in use. One call at a time.
 */
export class IptablesClient {
  readonly #run: RunProcess;
  readonly #variant: IptablesVariant | undefined;
  #tools: IptablesTools | undefined;
  /** For each family and table: the rules that were written, and how the program printed them if its text differs. */
  readonly #printed = new Map<string, { readonly wanted: string; readonly printed: string }>();
  /**
   * For each family and table: rules of other programs that the agent moved its jumps ahead of (or behind, at the end
   * of a chain) once.
   */
  readonly #rulesAhead = new Map<string, ReadonlySet<string>>();

  constructor(options: IptablesOptions = {}) {
    this.#run = options.run ?? runProcess;
    this.#variant = options.variant;
  }

  /** Finds the programs to use, and the families for which they work. */
  async find(families: readonly IPFamily[]): Promise<IptablesTools> {
    this.#tools = await findIptables(this.#run, families, this.#variant);
    return this.#tools;
  }

  /**
   * Writes each table that differs, with one restore for each. If a rule of another program stands where a jump of the
   * agent belongs, the jump is moved once. If that rule returns to its place, another program maintains it there, and
   * it may stay. Families without a working program are skipped: `find` has returned them as unusable.
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

  /**
   * Describes the tables that `apply` would write, ignoring the place of the jumps among rules of other programs. Reads
   * only.
   */
  differences(rules: NodeSetup["rules"]): Promise<RulesReport> {
    return this.#eachTable(rules, async ({ family, saved }, table) => {
      const isRight = restoreText(parseSave(saved, table.name), table, () => true) === undefined;
      return isRight ? undefined : `the rules of kube-ipvs in table "${table.name}" of ${family} differ`;
    });
  }

  /** Removes the chains and the jumps into them; an absent chain is not an error. */
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
    work: (seen: SavedFamily, table: RuleTable) => Promise<string | undefined>,
  ): Promise<RulesReport> {
    return this.#eachFamily(Object.keys(rules).filter(isFamily), async (seen) => {
      const reports: RulesReport[] = [];
      for (const table of rules[seen.family]?.tables ?? []) reports.push(await reportOf(() => work(seen, table)));
      return merge(reports);
    });
  }

  /**
   * Reads all tables of a family at once, because the start of a program takes longer than its output. Families are
   * processed one after the other: each start blocks the event loop, and the program then uses the CPU.
   */
  async #eachFamily(
    families: readonly IPFamily[],
    work: (seen: SavedFamily) => Promise<RulesReport>,
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

  /** Writes one table if it differs. */
  async #write({ tools, family, saved }: SavedFamily, table: RuleTable): Promise<string | undefined> {
    const present = parseSave(saved, table.name);
    const text = restoreText(present, table, this.#tolerates(family, table));
    if (text === undefined) return undefined;
    const before = this.#printed.get(keyOf(family, table));
    if (before?.wanted === JSON.stringify(table) && before.printed === ownPart(present, table)) return undefined;
    await this.#restore(tools, family, table.name, text);
    return `wrote table "${table.name}" of ${family}`;
  }

  /**
   * Reads all tables again and records how the program prints the written rules; `saved` is its output before the
   * write.
   */
  async #readBack({ tools, family, saved }: SavedFamily, tables: readonly RuleTable[]): Promise<undefined> {
    const now = await this.#save(tools, family);
    for (const table of tables) {
      const key = keyOf(family, table);
      const written = parseSave(now, table.name);
      const rulesAhead = rulesAheadOfJumps(parseSave(saved, table.name), table.jumps);
      this.#rulesAhead.set(key, new Set(rulesAhead.map(({ from, rule }) => `${from} ${rule}`)));
      if (restoreText(written, table, this.#tolerates(family, table)) === undefined) this.#printed.delete(key);
      else this.#printed.set(key, { wanted: JSON.stringify(table), printed: ownPart(written, table) });
    }
  }

  #tolerates(family: IPFamily, table: RuleTable): Tolerates {
    return (from, rule) => this.#rulesAhead.get(keyOf(family, table))?.has(`${from} ${rule}`) === true;
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
    return `removed the chains of kube-ipvs from table "${table}" of ${family}`;
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

/** A family, with the output of its program for all tables. */
interface SavedFamily {
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

/** Returns an IptablesError; throws any other error. */
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
