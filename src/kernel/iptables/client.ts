import { setImmediate as nextTurn } from "node:timers/promises";
import type { IPFamily } from "../../model/address.ts";
import type { IptablesBackend, RuleTable } from "../../model/kernel/rules.ts";
import type { BackendReport, NodeSetup, RulesReport } from "../kernel.ts";
import { type RunProcess, runProcess } from "../run-process.ts";
import type { BackendState } from "./backend.ts";
import { backendReport } from "./backend-report.ts";
import { type FindOptions, findIptables, type IptablesTools } from "./find.ts";
import type { OwnChains } from "./foreign-chains.ts";
import { chainNames, leftTables, tableDifferences, tablesBeside, withLeftChains } from "./leftovers.ts";
import { hasLegacyTables, saveRules } from "./programs.ts";
import { removals } from "./removal.ts";
import { failureOf, merge, reportOf, ruledFamilies, tableStates } from "./rules-report.ts";
import { type SavedFamily, TableWriter, type WritingTools, type WrittenFamily } from "./writing/table-writer.ts";

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
  readonly #writer: TableWriter;
  /** Whether what kube-proxy's iptables mode has left was removed. */
  #isCleared = false;
  /** The end of the read that follows `apply`, with its failures. */
  #readBack: Promise<RulesReport> = Promise.resolve(merge([]));

  constructor(options: IptablesOptions = {}) {
    this.#options = {
      run: options.run ?? runProcess,
      hasLegacyTables: options.hasLegacyTables ?? hasLegacyTables,
      required: options.backend,
    };
    this.#writer = new TableWriter(this.#options.run);
  }

  /**
   * Finds the programs to use, and the families for which they work, and describes both backends. `chains` are the
   * agent's own. If `areTried`, programs that are in use are known to work.
   */
  async find(
    families: readonly IPFamily[],
    { chains = {}, areTried = false }: { readonly chains?: OwnChains; readonly areTried?: boolean } = {},
  ): Promise<IptablesTools & { readonly backends?: BackendReport }> {
    await this.#readBack;
    const found = await findIptables(this.#options, families, this.#tools, areTried);
    const { tools, own, other } = found;
    if (this.#tools?.backend !== tools.backend) this.#writer.changeBackend();
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
   * Writes the tables that differ, with one restore for each family. If a rule of another program stands where a jump of the
   * agent belongs, the jump is moved once. If that rule returns to its place, another program maintains it there, and
   * it may stay. At the end of a chain it may not: the agent accepts traffic there that rules behind could deny, and
   * programs that append a rule do not maintain its place. Families without a working program are skipped: `find` has
   * returned them as unusable. `leftovers` is the treatment of rules that kube-proxy's iptables mode has left, as in
   * `NodeSetup`. `isContested`: another agent runs here, so that a table which differs was written by it.
   *
   * After its report the families that were written are read again, to record how the program prints the rules: Services need
   * not wait for this. The next call waits for it, and the next `apply` reports its failures.
   */
  async apply(
    rules: NodeSetup["rules"],
    leftovers?: NodeSetup["leftovers"],
    isContested = false,
  ): Promise<RulesReport> {
    const ofReadBack = await this.#readBack;
    const serving: IPFamily[] = [];
    this.#writer.begin();
    const report = await this.#eachFamily(ruledFamilies(rules), async (seen) => {
      const all = rules[seen.family]?.tables ?? [];
      const tables = leftovers === "serve" ? tablesBeside(seen.saved, all) : all;
      if (tables.length < all.length) serving.push(seen.family);
      const written = await this.#writer.write(seen, tables, isContested);
      return leftovers === "remove" ? merge([written, await this.#removeLeft(seen, tables)]) : written;
    });
    this.#isCleared ||= leftovers === "remove";
    this.#readBack = this.#readAgain(this.#writer.takeWritten());
    const { right, otherProxies } = this.#writer;
    return {
      ...merge([ofReadBack, report]),
      tables: tableStates(rules, right),
      ...(otherProxies.size > 0 && { otherProxies: [...otherProxies] }),
      ...(serving.length > 0 && { isDeferred: true }),
    };
  }

  /** Reads families that were written again, in a later turn, and records how the program prints the rules. */
  async #readAgain(written: readonly WrittenFamily[]): Promise<RulesReport> {
    await nextTurn();
    const reads = written.map((family) =>
      reportOf(async () => {
        this.#writer.recordPrinted(family, await this.#save(family.tools, family.family));
        return undefined;
      }),
    );
    return merge(await Promise.all(reads));
  }

  async #removeLeft({ tools, family, saved }: SavedFamily, tables: readonly RuleTable[]): Promise<RulesReport> {
    const left = leftTables(saved, chainNames(tables));
    if (left.length > 0 && this.#isCleared) this.#writer.addOtherProxy("kube-proxy in iptables mode");
    return this.#writer.restore(tools, family, left, "removed rules of kube-proxy's iptables mode from table");
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
    const name = `${backend} `;
    const tools = { infix: `-${backend}` as const, backend, name, modern: this.#tools?.modern === true };
    this.#other = undefined;
    const removes = [...saved].map(([family, text]) => this.#removeChains(tools, family, text, chains, used));
    return merge(await Promise.all(removes));
  }

  /**
   * Reads all tables of a family at once, because the start of a program takes longer than its output. Families are
   * processed side by side.
   */
  async #eachFamily(
    families: readonly IPFamily[],
    work: (seen: SavedFamily) => Promise<RulesReport>,
  ): Promise<RulesReport> {
    await this.#readBack;
    const tools = this.#tools ?? (await this.find(families));
    const readAndWork = async (family: IPFamily) => {
      try {
        return await work({ tools, family, saved: await this.#save(tools, family) });
      } catch (error) {
        return { changed: [], failures: [failureOf(error)] };
      }
    };
    return merge(await Promise.all(families.filter((family) => tools.families.includes(family)).map(readAndWork)));
  }

  async #removeChains(
    tools: WritingTools & { readonly name: string },
    family: IPFamily,
    saved: string,
    chains: OwnChains,
    used: "empty" | "keep",
  ): Promise<RulesReport> {
    const done = `removed the chains of kube-ipvs from ${tools.name}table`;
    return this.#writer.restore(tools, family, removals(saved, chains, used), done);
  }

  /** Returns all tables of a family; the first time after `find`, as `find` has read them. */
  async #save({ infix }: IptablesTools, family: IPFamily): Promise<string> {
    const read = this.#read.get(family);
    this.#read.delete(family);
    return read ?? saveRules(this.#options.run, infix, family);
  }
}
