import type { RuleTable } from "../../model/kernel/rules.ts";
import { BUILT_IN_CHAINS, parseSave, type SavedTable, target } from "./save-format.ts";

/** The chains of the agent, for each table. */
export type OwnChains = Readonly<Partial<Record<RuleTable["name"], readonly string[]>>>;

/** A text about a node names this number of groups: an Event has room for about 1,000 characters. */
const SHOWN = 6;

/** Chains and rules of other programs. */
export interface ForeignChains {
  readonly names: readonly string[];
  /** The number of rules in all chains of other programs, jumps into chains of the agent not counted. */
  readonly rules: number;
}

/**
 * Returns the chains in which other programs have rules, in the output of iptables-save: the chains of one program as one
 * pattern ("cali-*"), those with most rules first, at most six. A built-in chain counts if a rule in it does not only
 * lead into another chain, or if its policy is not ACCEPT. No names if other programs have no rules.
 */
export function foreignChains(text: string, own: OwnChains): ForeignChains {
  const groups = new Map<string, Group>();
  let total = 0;
  for (const [, table = ""] of text.matchAll(/^\*(\S+)/gm)) {
    const chains = parseSave(text, table);
    const ours = new Set(Object.entries(own).find(([name]) => name === table)?.[1]);
    for (const [name, rules] of chains) {
      if (ours.has(name)) continue;
      const foreign = rules.filter((rule) => !ours.has(target(rule) ?? ""));
      total += foreign.length;
      addChain(groups, name, foreign, chains);
    }
  }
  for (const [, name = "", policy = ""] of text.matchAll(/^:(\S+) (DROP|REJECT)\b/gm))
    add(groups, `${name} ${policy}`, `${name} (policy ${policy})`, 0);
  const sorted = [...groups].toSorted(([, a], [, b]) => b.rules - a.rules).map(([owner, group]) => shown(owner, group));
  return { names: sorted.slice(0, SHOWN), rules: total };
}

function addChain(groups: Map<string, Group>, name: string, rules: readonly string[], chains: SavedTable): void {
  const isBuiltIn = BUILT_IN_CHAINS.has(name);
  const counted = isBuiltIn ? rules.filter((rule) => !chains.has(target(rule) ?? "")) : rules;
  if (counted.length > 0) add(groups, isBuiltIn ? name : ownerOf(name), name, counted.length);
}

interface Group {
  readonly names: Set<string>;
  rules: number;
}

function add(groups: Map<string, Group>, owner: string, name: string, rules: number): void {
  const group = groups.get(owner) ?? { names: new Set(), rules: 0 };
  groups.set(owner, group);
  group.names.add(name);
  group.rules += rules;
}

/** Returns what the chains of one program have in common: "cali" of "cali-FORWARD", "LIBVIRT" of "LIBVIRT_INP". */
function ownerOf(chain: string): string {
  return /^[^-_:.]+/.exec(chain)?.[0] ?? chain;
}

function shown(owner: string, { names }: Group): string {
  const [first = owner, ...rest] = names;
  if (rest.length === 0) return first;
  const prefix = first.slice(0, owner.length + 1);
  return [...names].every((name) => name.startsWith(prefix)) ? `${prefix}*` : `${owner}*`;
}
