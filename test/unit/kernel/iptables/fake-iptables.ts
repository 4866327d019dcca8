import { IptablesClient } from "../../../../src/kernel/iptables/client.ts";
import type { RunProcess } from "../../../../src/kernel/run-process.ts";
import type { RuleTable } from "../../../../src/model/kernel/rules.ts";

const BUILT_IN: Readonly<Record<string, readonly string[]>> = {
  nat: ["PREROUTING", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
};

type Tables = Map<string, Map<string, string[]>>;

/** The iptables programs of one node: the rules of each variant and family, and which programs are installed and work. */
export class FakeIptables {
  /** Programs without suffix that are installed and work. The others do not exist. */
  readonly working = new Set([
    "iptables",
    "ip6tables",
    "iptables-nft",
    "ip6tables-nft",
    "iptables-legacy",
    "ip6tables-legacy",
  ]);
  version = "1.8.9";
  /** Programs with suffix that fail, with what they print. */
  readonly failing = new Map<string, string>();
  /** Whether programs of 1.8 and newer name their backend in their version. */
  namesBackend = true;
  /** Whether the kernel has nf_tables. */
  hasNfTables = true;
  /** The variant of the plain programs. */
  default: "legacy" | "nft" = "nft";
  /** Every run of a program, as one line. */
  readonly ran: string[] = [];
  /** How rules are printed, if it differs from how they were written. */
  print = (rule: string): string => rule;
  readonly #tables = new Map<string, Tables>();

  /** The chains of a table; built-in ones always exist. */
  table(program: string, name: string): Map<string, string[]> {
    const kind = this.#kind(program);
    const tables = this.#tables.get(kind) ?? new Map();
    this.#tables.set(kind, tables);
    const table = tables.get(name) ?? new Map(BUILT_IN[name]?.map((chain) => [chain, []]));
    tables.set(name, table);
    return table;
  }

  readonly run: RunProcess = async (file, args, input = "") => {
    this.ran.push([file, ...args].join(" "));
    const program = file.replace(/-(save|restore)$/, "");
    if (!this.working.has(program)) return { code: 127, stdout: "", stderr: `${file}: not found` };
    const failure = this.failing.get(file);
    if (failure !== undefined) return { code: 1, stdout: "", stderr: failure };
    if (file.endsWith("-save")) return this.#withoutNfTables(program) ?? this.#save(program, args[1]);
    if (file.endsWith("-restore")) return this.#restore(program, input, args.includes("-w"));
    if (args[0] === "--version") return { code: 0, stdout: this.#versionText(program), stderr: "" };
    return this.#withoutNfTables(program) ?? { code: 0, stdout: "", stderr: "" };
  };

  /** Whether the kernel shows tables of legacy iptables. */
  readonly hasLegacyTables = async (family: "IPv4" | "IPv6"): Promise<boolean> =>
    this.#tables.has(family === "IPv4" ? "iptables-legacy" : "ip6tables-legacy");

  /** Before 1.8 no program names its backend. */
  #versionText(program: string): string {
    const backend = this.#kind(program).endsWith("-nft") ? "nf_tables" : "legacy";
    return `iptables v${this.version}${/^1\.[0-7]\./.test(this.version) || !this.namesBackend ? "" : ` (${backend})`}`;
  }

  #kind(program: string): string {
    return program.includes("-") ? program : `${program}-${this.default}`;
  }

  #withoutNfTables(program: string) {
    if (this.hasNfTables || !this.#kind(program).endsWith("-nft")) return undefined;
    const stderr = `${program} v${this.version} (nf_tables): Could not fetch rule set generation id: Invalid argument\n`;
    return { code: 4, stdout: "", stderr };
  }

  #save(program: string, only: string | undefined) {
    if (only !== undefined) this.table(program, only);
    const kind = this.#kind(program);
    const lines: string[] = [];
    for (const [name, table] of this.#tables.get(kind) ?? []) {
      if (only !== undefined && only !== name) continue;
      lines.push(`*${name}`, ...[...table.keys()].map((chain) => `:${chain} - [0:0]`));
      for (const [chain, rules] of table) lines.push(...rules.map((rule) => `-A ${chain} ${this.print(rule)}`));
      lines.push("COMMIT");
    }
    return { code: 0, stdout: `${lines.join("\n")}\n`, stderr: "" };
  }

  /** Line by line; each table at its COMMIT, so that nothing of a table is changed if one of its lines is wrong. */
  #restore(program: string, input: string, waits: boolean) {
    if (waits && this.version < "1.6.2") return { code: 2, stdout: "", stderr: "unknown option -w" };
    let name = "";
    let table = new Map<string, string[]>();
    for (const [index, line] of input.split("\n").entries()) {
      if (line.startsWith("*")) {
        name = line.slice(1);
        table = new Map([...this.table(program, name)].map(([chain, rules]) => [chain, [...rules]]));
      } else if (line === "COMMIT") this.#commit(program, name, table);
      else if (line !== "" && !this.#line(table, line))
        return { code: 1, stdout: "", stderr: `restore: no such thing\nError occurred at line: ${index + 1}\n` };
    }
    return { code: 0, stdout: "", stderr: "" };
  }

  #commit(program: string, name: string, table: Map<string, string[]>): void {
    for (const chain of this.table(program, name).keys()) this.table(program, name).delete(chain);
    for (const [chain, rules] of table) this.table(program, name).set(chain, rules);
  }

  #line(table: Map<string, string[]>, line: string): boolean {
    if (line.startsWith(":")) return table.set(line.slice(1).split(" ")[0] ?? "", []) !== undefined;
    const [, command, chain = "", rule = ""] = /^(-\S) (\S+) ?(.*)$/.exec(line) ?? [];
    const rules = table.get(chain);
    if (rules === undefined || rule.includes("nosuch")) return false;
    if (command === "-A") rules.push(rule);
    else if (command === "-I") rules.unshift(rule.replace(/^1 /, ""));
    else if (command === "-D") return rules.includes(rule) && rules.splice(rules.indexOf(rule), 1).length === 1;
    else if (command === "-X") return rules.length === 0 && table.delete(chain);
    else return false;
    return true;
  }
}

/** The jump into the chain of our table nat. */
export const JUMP = '-m comment --comment "portals" -j KUBE-SERVICES';

/** Our table nat. */
export const NAT: RuleTable = {
  name: "nat",
  chains: [{ name: "KUBE-SERVICES", rules: ["-s 127.0.0.0/8 -j RETURN", "-j ACCEPT"] }],
  jumps: [{ from: "OUTPUT", rule: JUMP }],
};

/** Our table filter. */
export const FILTER: RuleTable = {
  name: "filter",
  chains: [{ name: "KUBE-FORWARD", rules: ["-j ACCEPT"] }],
  jumps: [],
};

/** Rules of one or two tables for each family. */
export const RULES = { IPv4: { tables: [NAT, FILTER] }, IPv6: { tables: [NAT] } };

/** The report when nothing changed. */
export const NOTHING = { changed: [], failures: [] };

/** A client that has found its backend, and the programs that it has run since. */
export async function setup(fake = new FakeIptables()) {
  const client = new IptablesClient(fake);
  await client.find(["IPv4", "IPv6"]);
  const ran = () => fake.ran.splice(0);
  ran();
  return { fake, client, ran, restores: () => ran().filter((line) => line.includes("restore")) };
}
