import type { RuleTable } from "../../model/kernel/rules.ts";
import { asTable, BUILT_IN_CHAINS, parseSave, type SavedTable, target } from "./save-format.ts";

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

/** Tables of rules that kube-proxy's iptables mode has left, with the input of iptables-restore that removes them. */
export interface LeftTable {
  readonly table: RuleTable["name"];
  readonly text: string;
}

/**
 * Returns what is left of kube-proxy's iptables mode in the output of iptables-save, when the chains in `own` have their
 * own rules. A chain into which a rule of another program leads is only emptied.
 */
export function leftTables(
  saved: string,
  own: Readonly<Partial<Record<RuleTable["name"], readonly string[]>>>,
): readonly LeftTable[] {
  return (["mangle", "nat", "filter"] as const).flatMap((table) => {
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
