import type { IPFamily } from "../../model/address.ts";
import type { RuleTable } from "../../model/kernel/rules.ts";
import type { OwnChains } from "./foreign-chains.ts";
import { asTable, BUILT_IN_CHAINS, parseSave, restoreText, type SavedTable, target } from "./save-format.ts";
import type { TableInput } from "./writing/restore.ts";

const TABLES = ["mangle", "nat", "filter"] as const;

/**
 * The chains that only kube-proxy's iptables mode has, of 1.24 and newer. KUBE-FIREWALL, KUBE-KUBELET-CANARY,
 * KUBE-IPTABLES-HINT and KUBE-MARK-DROP are the kubelet's.
 */
const LEFT_CHAINS: Readonly<Record<RuleTable["name"], RegExp>> = {
  mangle: /^KUBE-PROXY-CANARY$/,
  nat: /^KUBE-(PROXY-CANARY|NODEPORTS|(SVC|SVL|SEP|EXT|FW|XLB)-[A-Z2-7]{16})$/,
  filter: /^KUBE-(PROXY-CANARY|NODEPORTS|EXTERNAL-SERVICES|SERVICES)$/,
};

/** The jumps of the iptables mode into chains that the IPVS mode has too: they have a condition. */
const LEFT_JUMP = /^-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j /;

/** A rule by which kube-proxy's iptables mode serves a Service, in the chain KUBE-SERVICES of the table nat. */
const SERVING = /-j KUBE-(SVC|SVL|EXT|FW)-[A-Z2-7]{16}$/;

/**
 * The tables that are written only together with the removal of the iptables mode: nat replaces its rules, and the marks of
 * mangle would have IPVS rewrite packets that these rules have rewritten. The filter comes first: the one of the iptables mode
 * drops clients of load balancers whose packets it has not rewritten.
 */
const REPLACING_TABLES: ReadonlySet<RuleTable["name"]> = new Set(["mangle", "nat"]);

/**
 * Returns the tables that can be written while kube-proxy's iptables mode serves Services, if it does by the output of
 * iptables-save: its rules rewrite the destination before IPVS sees a packet. Else all tables.
 */
export function tablesBeside(saved: string, tables: readonly RuleTable[]): readonly RuleTable[] {
  const serves = parseSave(saved, "nat")
    .get("KUBE-SERVICES")
    ?.some((rule) => SERVING.test(rule));
  return serves === true ? tables.filter(({ name }) => !REPLACING_TABLES.has(name)) : tables;
}

/**
 * Returns the input of iptables-restore that removes what is left of kube-proxy's iptables mode in the output of
 * iptables-save, when the chains in `own` have their own rules. A chain into which a rule of another program leads is only emptied.
 */
export function leftTables(saved: string, own: OwnChains): readonly TableInput[] {
  return TABLES.flatMap((table) => {
    const text = leftText(parseSave(saved, table), table, own[table] ?? []);
    return text === undefined ? [] : [{ table, text }];
  });
}

function leftText(saved: SavedTable, table: RuleTable["name"], own: readonly string[]): string | undefined {
  const chains = [...saved.keys()].filter((name) => LEFT_CHAINS[table].test(name) && !own.includes(name));
  const leads = [...saved]
    .filter(([from]) => !chains.includes(from) && !own.includes(from))
    .flatMap(([from, rules]) => rules.map((rule) => ({ from, rule, to: target(rule) ?? "" })))
    .filter(({ rule, to }) => chains.includes(to) || (own.includes(to) && LEFT_JUMP.test(rule)));
  const jumps = leads.filter(({ from }) => BUILT_IN_CHAINS.has(from));
  const used = new Set(leads.filter(({ from }) => !BUILT_IN_CHAINS.has(from)).map(({ to }) => to));
  const emptied = chains.filter((name) => !used.has(name) || saved.get(name)?.length !== 0);
  return asTable(table, [
    ...emptied.map((name) => `:${name} - [0:0]`),
    ...jumps.map(({ from, rule }) => `-D ${from} ${rule}`),
    ...chains.filter((name) => !used.has(name)).map((name) => `-X ${name}`),
  ]);
}

/** Returns the chains of each table with those that the iptables mode has left, by the output of iptables-save. */
export function withLeftChains(saved: string, own: OwnChains): OwnChains {
  return Object.fromEntries(
    TABLES.map((table) => {
      const left = [...parseSave(saved, table).keys()].filter((name) => LEFT_CHAINS[table].test(name));
      return [table, [...new Set([...(own[table] ?? []), ...left])]];
    }),
  );
}

/** Describes which tables differ from these, and what the iptables mode has left. */
export function tableDifferences(saved: string, family: IPFamily, tables: readonly RuleTable[]): readonly string[] {
  const wrong = tables.filter((table) => restoreText(parseSave(saved, table.name), table, () => true) !== undefined);
  return [
    ...wrong.map(({ name }) => `the rules of kube-ipvs in table "${name}" of ${family} differ`),
    ...leftTables(saved, chainNames(tables)).map(
      ({ table }) => `kube-proxy's iptables mode has left rules in table "${table}" of ${family}`,
    ),
  ];
}

/** Returns the names of the chains of each table. */
export function chainNames(tables: readonly RuleTable[]): OwnChains {
  return Object.fromEntries(tables.map(({ name, chains }) => [name, chains.map((chain) => chain.name)]));
}
