import type { Jump, RuleTable } from "../../model/kernel/rules.ts";

/** One table as iptables-save prints it: chains in order, each with its rules without "-A CHAIN". */
export type SavedTable = ReadonlyMap<string, readonly string[]>;

/** The words of a rule without its quotes, so that `"a"` and `a` are the same. */
export function ruleWords(rule: string): readonly string[] {
  const words = rule.match(/"(?:\\.|[^"\\])*"|[^\s"]+/g) ?? [];
  return words.map((word) => (word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, "$1") : word));
}

/** Whether the two say the same. */
export function sameRule(a: string, b: string): boolean {
  const left = ruleWords(a);
  const right = ruleWords(b);
  return left.length === right.length && left.every((word, index) => word === right[index]);
}

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

/** Whether a rule of others may stay where a jump of ours belongs. */
export type Tolerates = (from: string, rule: string) => boolean;

/**
 * What brings the jumps to their places, as lines for iptables-restore; none if each is there once. Where one is not, all
 * of that end of the chain are made anew, in one commit: no packet passes in between.
 */
export function jumpLines(saved: SavedTable, jumps: readonly Jump[], tolerates: Tolerates): readonly string[] {
  return ends(saved, jumps).flatMap(({ from, place, rules, wanted }) => {
    if (stand(rules, wanted, (rule) => tolerates(from, rule))) return [];
    const present = rules.filter((rule) => includes(wanted, rule));
    // Inserted one above the other, so that the last comes first; at the other end one below the other.
    const inserted = wanted
      .toReversed()
      .map((rule) => (place === "last" ? `-A ${from} ${rule}` : `-I ${from} 1 ${rule}`));
    return [...present.map((rule) => `-D ${from} ${rule}`), ...inserted];
  });
}

/** The rules of others that stand where jumps of ours belong, of each chain. */
export function overtakers(
  saved: SavedTable,
  jumps: readonly Jump[],
): readonly { readonly from: string; readonly rule: string }[] {
  return ends(saved, jumps).flatMap(({ from, rules, wanted }) => {
    const lastOfOurs = rules.findLastIndex((rule) => includes(wanted, rule));
    const others = rules.slice(0, lastOfOurs + 1).filter((rule) => !includes(wanted, rule));
    return others.map((rule) => ({ from, rule }));
  });
}

/** One end of a chain of others: its rules seen from there, and the jumps that are to stand there, the outermost first. */
interface End {
  readonly from: string;
  readonly place: Jump["place"];
  readonly rules: readonly string[];
  readonly wanted: readonly string[];
}

function ends(saved: SavedTable, jumps: readonly Jump[]): readonly End[] {
  const byEnd = Map.groupBy(jumps, ({ from, place }) => `${from} ${place}`);
  return [...byEnd.values()].flatMap((group) => {
    const [one] = group;
    if (one === undefined) return [];
    const { from, place } = one;
    const rules = saved.get(from) ?? [];
    const wanted = group.map(({ rule }) => rule).toReversed();
    return [{ from, place, rules: place === "last" ? rules.toReversed() : rules, wanted }];
  });
}

/** Whether the rules begin with the wanted ones, apart from those tolerated, and none of them comes again. */
function stand(rules: readonly string[], wanted: readonly string[], tolerated: (rule: string) => boolean): boolean {
  const counted = rules.filter((rule) => includes(wanted, rule) || !tolerated(rule));
  const inPlace = wanted.every((rule, index) => sameRule(rule, counted[index] ?? ""));
  return inPlace && counted.filter((rule) => includes(wanted, rule)).length === wanted.length;
}

function includes(wanted: readonly string[], rule: string): boolean {
  return wanted.some((one) => sameRule(one, rule));
}
