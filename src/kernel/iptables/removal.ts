import type { RuleTable } from "../../model/kernel/rules.ts";
import type { OwnChains } from "./foreign-chains.ts";
import { asTable, BUILT_IN_CHAINS, parseSave, ruleWords, type SavedTable, target } from "./save-format.ts";
import type { TableInput } from "./writing/restore.ts";

/** Returns the input of iptables-restore that removes the chains, for each table that has any of them. */
export function removals(saved: string, chains: OwnChains, used: "empty" | "keep"): readonly TableInput[] {
  return Object.keys(chains)
    .filter(isTable)
    .flatMap((table) => {
      const text = removalText(parseSave(saved, table), table, chains[table] ?? [], used);
      return text === undefined ? [] : [{ table, text }];
    });
}

/**
 * Returns the input of iptables-restore --noflush that removes the chains and the jumps into them; undefined if there
 * is nothing to remove. A jump is a rule in a built-in chain that has nothing but a target and a comment of ours or of kube-proxy. Any other
 * rule that leads into a chain belongs to another program: that chain is only emptied, or, if `used` is "keep", it stays
 * as it is with the chains that it leads into.
 */
export function removalText(
  saved: SavedTable,
  table: RuleTable["name"],
  chains: readonly string[],
  used: "empty" | "keep" = "empty",
): string | undefined {
  const present = chains.filter((name) => saved.has(name));
  const jumps: { readonly to: string; readonly line: string }[] = [];
  const stillUsed = new Set<string>();
  for (const [from, rules] of saved) {
    if (chains.includes(from)) continue;
    for (const rule of rules) {
      const to = target(rule);
      if (to === undefined || !present.includes(to)) continue;
      if (isPlainJump(from, rule)) jumps.push({ to, line: `-D ${from} ${rule}` });
      else stillUsed.add(to);
    }
  }
  if (used === "keep") addTargets(stillUsed, saved, present);
  const gone = present.filter((name) => !stillUsed.has(name));
  const left = present.filter((name) => stillUsed.has(name) && saved.get(name)?.length !== 0);
  return asTable(table, [
    ...[...gone, ...(used === "keep" ? [] : left)].map((name) => `:${name} - [0:0]`),
    ...jumps.filter(({ to }) => used === "empty" || !stillUsed.has(to)).map(({ line }) => line),
    ...gone.map((name) => `-X ${name}`),
  ]);
}

/** Adds the chains of `chains` to which rules of `used` lead, directly or through others of them. */
function addTargets(used: Set<string>, saved: SavedTable, chains: readonly string[]): void {
  // The iteration includes the chains that are added meanwhile.
  for (const name of used)
    for (const rule of saved.get(name) ?? []) {
      const to = target(rule);
      if (to !== undefined && chains.includes(to)) used.add(to);
    }
}

/** A condition that jumps of kube-proxy's iptables mode have. */
const NEW_CONNECTIONS = /^-m conntrack --ctstate NEW (?=-m comment --comment "kubernetes )/;

function isPlainJump(from: string, rule: string): boolean {
  const words = ruleWords(rule.replace(NEW_CONNECTIONS, ""));
  const rest = words[0] === "-m" && words[1] === "comment" && words[2] === "--comment" ? words.slice(4) : words;
  return BUILT_IN_CHAINS.has(from) && rest.length === 2 && rest[0] === "-j";
}

function isTable(text: string): text is RuleTable["name"] {
  return text === "nat" || text === "filter" || text === "mangle";
}
