import type { RuleTable } from "../../model/kernel/rules.ts";
import { jumpLines, type Tolerates } from "./jumps.ts";
import { ruleWords, type SavedTable, sameRule } from "./rule-text.ts";

const BUILT_IN_CHAINS: ReadonlySet<string> = new Set(["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);

/**
 * The chains of one table in the output of iptables-save; empty if the table is not in it.
 *
 *     *nat
 *     :KUBE-SERVICES - [0:0]              chain, policy, counters
 *     -A KUBE-SERVICES -j RETURN          rule; with -c counters come first: [3:180] -A ...
 *     COMMIT
 */
export function parseSave(text: string, table: string): SavedTable {
  const chains = new Map<string, string[]>();
  let current = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) current = line.slice(1).trim();
    if (current !== table) continue;
    const chain = /^:(\S+)/.exec(line)?.[1];
    if (chain !== undefined) chains.set(chain, []);
    const [, from = "", rule = ""] = /^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$/.exec(line) ?? [];
    chains.get(from)?.push(rule.trim());
  }
  return chains;
}

/**
 * What iptables-restore --noflush is to be given so that `saved` becomes what is wanted; undefined if it already is.
 * To declare a chain empties it, and all of a table is committed at once: no packet meets half of our rules. Rules of
 * others that are tolerated may stand where our jumps belong.
 */
export function restoreText(saved: SavedTable, wanted: RuleTable, tolerates: Tolerates): string | undefined {
  const chainsRight = wanted.chains.every(({ name, rules }) => sameRules(saved.get(name), rules));
  const chains = chainsRight
    ? []
    : [
        ...wanted.chains.map(({ name }) => `:${name} - [0:0]`),
        ...wanted.chains.flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule}`)),
      ];
  return asTable(wanted.name, [...chains, ...jumpLines(saved, wanted.jumps, tolerates)]);
}

function sameRules(saved: readonly string[] | undefined, wanted: readonly string[]): boolean {
  if (saved?.length !== wanted.length) return false;
  return wanted.every((rule, index) => sameRule(rule, saved[index] ?? ""));
}

/**
 * What iptables-restore --noflush is to be given so that the chains are gone with the jumps into them; undefined if
 * nothing is left of them. A jump is a rule in a built-in chain that has nothing but a comment. What others have made to
 * lead into a chain is theirs: that chain is only emptied.
 */
export function removalText(
  saved: SavedTable,
  table: RuleTable["name"],
  chains: readonly string[],
): string | undefined {
  const present = chains.filter((name) => saved.has(name));
  const jumps: string[] = [];
  const stillUsed = new Set<string>();
  for (const [from, rules] of saved) {
    if (chains.includes(from)) continue;
    for (const rule of rules) {
      const to = target(rule);
      if (to === undefined || !present.includes(to)) continue;
      if (isPlainJump(from, rule)) jumps.push(`-D ${from} ${rule}`);
      else stillUsed.add(to);
    }
  }
  const gone = present.filter((name) => !stillUsed.has(name));
  const left = present.filter((name) => stillUsed.has(name) && saved.get(name)?.length !== 0);
  return asTable(table, [
    ...[...gone, ...left].map((name) => `:${name} - [0:0]`),
    ...jumps,
    ...gone.map((name) => `-X ${name}`),
  ]);
}

function target(rule: string): string | undefined {
  const words = ruleWords(rule);
  const at = words.findIndex((word) => word === "-j" || word === "-g");
  return at < 0 ? undefined : words[at + 1];
}

function isPlainJump(from: string, rule: string): boolean {
  const words = ruleWords(rule);
  const rest = words[0] === "-m" && words[1] === "comment" && words[2] === "--comment" ? words.slice(4) : words;
  return BUILT_IN_CHAINS.has(from) && rest.length === 2 && rest[0] === "-j";
}

function asTable(name: string, lines: readonly string[]): string | undefined {
  return lines.length === 0 ? undefined : `${[`*${name}`, ...lines, "COMMIT"].join("\n")}\n`;
}

/**
 * Our part of a table, as it was printed. To tell a tool that prints our rules in other words than we write them from
 * rules that somebody changed.
 */
export function ownPart(saved: SavedTable, wanted: RuleTable): string {
  const jumps = new Map(
    wanted.jumps.map(({ from }) => [from, (saved.get(from) ?? []).filter((rule) => leadsTo(rule, wanted))]),
  );
  return JSON.stringify([wanted.chains.map(({ name }) => saved.get(name) ?? null), [...jumps]]);
}

function leadsTo(rule: string, { chains }: RuleTable): boolean {
  const to = target(rule);
  return chains.some(({ name }) => name === to);
}
