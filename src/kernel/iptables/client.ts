import type { IPFamily } from "../../model/address.ts";
import type { IptablesBackend, RuleTable } from "../../model/kernel/rules.ts";
import type { BackendReport, NodeSetup, RulesReport } from "../kernel.ts";
import { type RunProcess, runProcess } from "../run-process.ts";
import type { BackendState } from "./backend.ts";
import { backendReport } from "./backend-report.ts";
import { type FindOptions, findIptables, type IptablesTools } from "./find.ts";
import type { OwnChains } from "./foreign-chains.ts";
import { chainNames, type LeftTable, leftTables, tableDifferences, tablesBeside, withLeftChains } from "./leftovers.ts";
import { hasLegacyTables, restoreRules, saveRules } from "./programs.ts";
import { removals } from "./removal.ts";
import { failureOf, keyOf, merge, reportOf, ruledFamilies, tableStates } from "./rules-report.ts";
import { hasAllRules, ownPart, parseSave, restoreText, rulesAheadOfJumps, type Tolerates } from "./save-format.ts";
import { otherWriter, TableContests } from "./table-contest.ts";

export interface IptablesOptions {
  /** The backend to use; undefined: `find` detects it. */
  readonly backend?: IptablesBackend | undefined;
  readonly run?: RunProcess;
  readonly hasLegacyTables?: FindOptions["hasLegacyTables"];
}

/**
 * Reads and writes the rules of this network namespace by the iptables programs of the node. The kernel has two backends
 * with separate tables, and these programs use the one that the node uses. One call at a time.
 */
export class IptablesClient {
  readonly #options: FindOptions;
  #tools: IptablesTools | undefined;
  /** What `find` has read: of the backend in use until it is used once, because rules change. */
  readonly #read = new Map<IPFamily, string>();
  /** What `find` has read of the backend that is not in use, until its rules are changed. */
  #other: BackendState | undefined;
  /** For each family and table: the rules that were written, and how the program printed them if its text differs. */
  readonly #printed = new Map<string, { readonly wanted: string; readonly printed: string }>();
  readonly #contests = new TableContests();
  /** The tables of families that were written, or were right. */
  readonly #known = new Set<string>();
  /** The tables of families that the running `apply` has found right or has written. */
  #right = new Set<string>();
  /** Other service proxies whose rules the running `apply` has found. */
  #otherProxies = new Set<string>();
  /** Whether what kube-proxy's iptables mode has left was removed. */
  #isCleared = false;
  /**
   * For each family and table: rules of other programs that the agent moved its jumps ahead of once.
   */
  readonly #rulesAhead = new Map<string, ReadonlySet<string>>();

  constructor(options: IptablesOptions = {}) {
    this.#options = {
      run: options.run ?? runProcess,
      hasLegacyTables: options.hasLegacyTables ?? hasLegacyTables,
      required: options.backend,
    };
  }

  /**
   * Finds the programs to use, and the families for which they work, and describes both backends. `chains` are the
   * agent's own. If `areTried`, programs that are in use are known to work.
   */
  async find(
    families: readonly IPFamily[],
    { chains = {}, areTried = false }: { readonly chains?: OwnChains; readonly areTried?: boolean } = {},
  ): Promise<IptablesTools & { readonly backends?: BackendReport }> {
    const found = await findIptables(this.#options, families, this.#tools, areTried);
    const { tools, own, other } = found;
    if (this.#tools?.backend !== tools.backend) {
      // The notes are about the tables of the other backend.
      this.#printed.clear();
      this.#rulesAhead.clear();
    }
    this.#tools = tools;
    this.#read.clear();
    this.#other = undefined;
    // If it is not known which backend the default programs write, either might be the one in use.
    if (tools.isBackendKnown) {
      for (const [family, saved] of own.saved) this.#read.set(family, saved);
      this.#other = other;
    }
    return { ...tools, ...(tools.isBackendKnown && { backends: backendReport(found, chains) }) };
  }

  /**
   * Writes each table that differs, with one restore for each. If a rule of another program stands where a jump of the
   * agent belongs, the jump is moved once. If that rule returns to its place, another program maintains it there, and
   * it may stay. At the end of a chain it may not: the agent accepts traffic there that rules behind could deny, and
   * programs that append a rule do not maintain its place. Families without a working program are skipped: `find` has
   * returned them as unusable. `leftovers` is the treatment of rules that kube-proxy's iptables mode has left, as in
   * `NodeSetup`. `isContested`: another agent runs here, so that a table which differs was written by it.
   */
  async apply(
    rules: NodeSetup["rules"],
    leftovers?: NodeSetup["leftovers"],
    isContested = false,
  ): Promise<RulesReport> {
    this.#otherProxies = new Set();
    this.#right = new Set();
    const serving: IPFamily[] = [];
    const report = await this.#eachFamily(ruledFamilies(rules), async (seen) => {
      const written: RuleTable[] = [];
      const reports: RulesReport[] = [];
      const all = rules[seen.family]?.tables ?? [];
      const tables = leftovers === "serve" ? tablesBeside(seen.saved, all) : all;
      if (tables.length < all.length) serving.push(seen.family);
      for (const table of tables)
        reports.push(
          await reportOf(async () => {
            const change = await this.#write(seen, table, isContested);
            if (change !== undefined) written.push(table);
            return change;
          }),
        );
      if (written.length > 0) reports.push(await reportOf(() => this.#readBack(seen, written)));
      if (leftovers === "remove") reports.push(await this.#removeLeft(seen, tables));
      return merge(reports);
    });
    this.#isCleared ||= leftovers === "remove";
    return {
      ...report,
      tables: tableStates(rules, this.#right),
      ...(this.#otherProxies.size > 0 && { otherProxies: [...this.#otherProxies] }),
      ...(serving.length > 0 && { isDeferred: true }),
    };
  }

  async #removeLeft({ tools, family, saved }: SavedFamily, tables: readonly RuleTable[]): Promise<RulesReport> {
    const left = leftTables(saved, chainNames(tables));
    if (left.length > 0 && this.#isCleared) this.#otherProxies.add("kube-proxy in iptables mode");
    return this.#restoreEach(tools, family, left, "removed rules of kube-proxy's iptables mode from table");
  }

  /** Describes the tables that `apply` would write, ignoring the place of the jumps among other rules. Reads only. */
  differences(rules: NodeSetup["rules"]): Promise<RulesReport> {
    return this.#eachFamily(ruledFamilies(rules), async ({ family, saved }) => ({
      changed: tableDifferences(saved, family, rules[family]?.tables ?? []),
      failures: [],
    }));
  }

  /**
   * Removes the chains and the jumps into them, in both backends; an absent chain is not an error. "with leftovers": also those
   * that kube-proxy's iptables mode has left in the backend in use.
   */
  async remove(
    families: readonly IPFamily[],
    chains: OwnChains,
    scope: "chains" | "with leftovers" = "chains",
  ): Promise<RulesReport> {
    const own = await this.#eachFamily(families, ({ tools, family, saved }) => {
      const all = scope === "chains" ? chains : withLeftChains(saved, chains);
      return this.#removeChains({ ...tools, name: "" }, family, saved, all, "empty");
    });
    return merge([own, await this.#removeOther(chains, "empty")]);
  }

  /**
   * Removes the chains and the jumps into them in the backend that is not in use, as it was at the last `find`: the
   * agent left them there, or an agent before it. A chain that another program uses stays.
   */
  removeOld(chains: OwnChains): Promise<RulesReport> {
    return this.#removeOther(chains, "keep");
  }

  /** Describes what `removeOld` would remove. */
  oldRules(chains: OwnChains): readonly string[] {
    const other = this.#other;
    if (other === undefined) return [];
    return [...other.saved].flatMap(([family, text]) =>
      removals(text, chains, "keep").map(
        ({ table }) => `rules of kube-ipvs are also in ${other.backend} table "${table}" of ${family}`,
      ),
    );
  }

  async #removeOther(chains: OwnChains, used: "empty" | "keep"): Promise<RulesReport> {
    if (this.#other === undefined) return merge([]);
    const { backend, saved } = this.#other;
    const tools = { infix: `-${backend}` as const, name: `${backend} `, modern: this.#tools?.modern === true };
    this.#other = undefined;
    const reports: RulesReport[] = [];
    for (const [family, text] of saved) reports.push(await this.#removeChains(tools, family, text, chains, used));
    return merge(reports);
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
  async #write({ tools, family, saved }: SavedFamily, table: RuleTable, isContested: boolean) {
    const present = parseSave(saved, table.name);
    const text = restoreText(present, table, this.#tolerates(family, table));
    const key = keyOf(family, table);
    if (text === undefined) {
      this.#known.add(key);
      this.#right.add(key);
      this.#contests.recordRight(key);
      return undefined;
    }
    const before = this.#printed.get(key);
    if (before?.wanted === JSON.stringify(table) && before.printed === ownPart(present, table)) {
      this.#right.add(key);
      return undefined;
    }
    const wasWritten = this.#known.has(key);
    const writer = wasWritten ? otherWriter(present, table) : undefined;
    if (writer !== undefined) this.#otherProxies.add(writer);
    if ((writer !== undefined || (wasWritten && isContested)) && !this.#contests.mayWrite(key)) return undefined;
    await this.#restore(tools, family, table.name, text);
    this.#known.add(key);
    this.#right.add(key);
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
      // Another program may have changed the rules since the write.
      const isOtherForm = restoreText(written, table, () => true) !== undefined && hasAllRules(written, table);
      if (isOtherForm) this.#printed.set(key, { wanted: JSON.stringify(table), printed: ownPart(written, table) });
      else this.#printed.delete(key);
    }
  }

  #tolerates(family: IPFamily, table: RuleTable): Tolerates {
    return (from, rule) => this.#rulesAhead.get(keyOf(family, table))?.has(`${from} ${rule}`) === true;
  }

  async #removeChains(
    tools: RestoreTools & { readonly name: string },
    family: IPFamily,
    saved: string,
    chains: OwnChains,
    used: "empty" | "keep",
  ): Promise<RulesReport> {
    const done = `removed the chains of kube-ipvs from ${tools.name}table`;
    return this.#restoreEach(tools, family, removals(saved, chains, used), done);
  }

  /** Writes these tables one after the other. `done` begins the text of each change. */
  async #restoreEach(tools: RestoreTools, family: IPFamily, tables: readonly LeftTable[], done: string) {
    const reports: RulesReport[] = [];
    for (const { table, text } of tables)
      reports.push(
        await reportOf(async () => {
          await this.#restore(tools, family, table, text);
          return `${done} "${table}" of ${family}`;
        }),
      );
    return merge(reports);
  }

  /** Returns all tables of a family; the first time after `find`, as `find` has read them. */
  async #save({ infix }: IptablesTools, family: IPFamily): Promise<string> {
    const read = this.#read.get(family);
    this.#read.delete(family);
    return read ?? saveRules(this.#options.run, infix, family);
  }

  #restore({ infix, modern }: RestoreTools, family: IPFamily, table: RuleTable["name"], text: string): Promise<void> {
    return restoreRules(this.#options.run, { infix, waits: modern }, { family, table }, text);
  }
}

type RestoreTools = Pick<IptablesTools, "infix" | "modern">;

/** A family, with the output of its program for all tables. */
interface SavedFamily {
  readonly tools: IptablesTools;
  readonly family: IPFamily;
  readonly saved: string;
}
