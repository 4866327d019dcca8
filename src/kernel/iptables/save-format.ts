import type { Jump, RuleTable } from "../../model/kernel/rules.ts";

/** One table as iptables-save prints it: chains in order, each with its rules without "-A CHAIN". */
export type SavedTable = ReadonlyMap<string, readonly string[]>;

/** Returns the words of a rule without quotes, so `"a"` and `a` are equal. */
export function ruleWords(rule: string): readonly string[] {
  const words = rule.match(/"(?:\\.|[^"\\])*"|[^\s"]+/g) ?? [];
  return words.map((word) => (word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, "$1") : word));
}

/** Whether two rules are equal apart from quotes and spaces. */
export function sameRule(a: string, b: string): boolean {
  const left = ruleWords(a);
  const right = ruleWords(b);
  return left.length === right.length && left.every((word, index) => word === right[index]);
}

/** The chains of the tables themselves: they cannot be removed, and all programs share them. */
export const BUILT_IN_CHAINS: ReadonlySet<string> = new Set([
  "PREROUTING",
  "INPUT",
  "FORWARD",
  "OUTPUT",
  "POSTROUTING",
]);

/**
 * Returns the chains of one table in the output of iptables-save; empty if the table is not in it.
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
 * Returns the input of iptables-restore --noflush that changes `saved` to `wanted`; undefined if they are equal.
 * Declaring a chain empties it, and a table is committed as a whole, so no packet meets a part of the rules. Tolerated
 * rules of other programs may stand where a jump belongs.
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

/** Returns the chain or target of a rule; undefined if it has none. */
export function target(rule: string): string | undefined {
  const words = ruleWords(rule);
  const at = words.findIndex((word) => word === "-j" || word === "-g");
  return at < 0 ? undefined : words[at + 1];
}

/** Returns the input of iptables-restore for these lines of one table; undefined if there are none. */
export function asTable(name: string, lines: readonly string[]): string | undefined {
  return lines.length === 0 ? undefined : `${[`*${name}`, ...lines, "COMMIT"].join("\n")}\n`;
}

/**
 * Returns the agent's part of a table, as it was printed. The comparison of two such texts shows whether the rules
 * changed, even if the tool prints them in another form than they are written.
 */
export function ownPart(saved: SavedTable, wanted: RuleTable): string {
  const jumps = new Map(
    wanted.jumps.map(({ from }) => [from, (saved.get(from) ?? []).filter((rule) => leadsTo(rule, wanted))]),
  );
  return JSON.stringify([wanted.chains.map(({ name }) => saved.get(name) ?? null), [...jumps]]);
}

/**
 * Whether the table has as many rules of the agent as it should. If not, another program has removed some of them: a tool
 * prints a rule in another form, but prints each.
 */
export function hasAllRules(saved: SavedTable, wanted: RuleTable): boolean {
  const jumps = Map.groupBy(wanted.jumps, ({ from }) => from);
  return (
    wanted.chains.every(({ name, rules }) => saved.get(name)?.length === rules.length) &&
    [...jumps].every(([from, { length }]) => saved.get(from)?.filter((rule) => leadsTo(rule, wanted)).length === length)
  );
}

function leadsTo(rule: string, { chains }: RuleTable): boolean {
  const to = target(rule);
  return chains.some(({ name }) => name === to);
}

/** Whether a rule of another program may stay where a jump of the agent belongs. */
export type Tolerates = (from: string, rule: string) => boolean;

/**
 * Returns the lines for iptables-restore that move the jumps to their places; none if each jump is there exactly once.
 * If a jump is not in place, all jumps at that end of the chain are replaced in one commit: no packet passes between.
 */
export function jumpLines(saved: SavedTable, jumps: readonly Jump[], tolerates: Tolerates): readonly string[] {
  return ends(saved, jumps).flatMap(({ from, place, rules, wanted }) => {
    if (stand(rules, wanted, (rule) => tolerates(from, rule))) return [];
    const present = rules.filter((rule) => includes(wanted, rule));
    // At the start of a chain each jump is inserted above the previous one, so the last comes first; at the end each is
    // appended.
    const inserted = wanted
      .toReversed()
      .map((rule) => (place === "last" ? `-A ${from} ${rule}` : `-I ${from} 1 ${rule}`));
    return [...present.map((rule) => `-D ${from} ${rule}`), ...inserted];
  });
}

/** Returns the rules of other programs that stand where jumps of the agent belong at the start of a chain, for each chain. */
export function rulesAheadOfJumps(
  saved: SavedTable,
  jumps: readonly Jump[],
): readonly { readonly from: string; readonly rule: string }[] {
  const starts = ends(saved, jumps).filter(({ place }) => place !== "last");
  return starts.flatMap(({ from, rules, wanted }) => {
    const lastOfOurs = rules.findLastIndex((rule) => includes(wanted, rule));
    const others = rules.slice(0, lastOfOurs + 1).filter((rule) => !includes(wanted, rule));
    return others.map((rule) => ({ from, rule }));
  });
}

/**
 * One end of a chain that other programs use too: its rules from that end on, and the jumps that belong there,
 * outermost first.
 */
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

/** Whether the rules, without the tolerated ones, begin with the wanted jumps, and no jump occurs twice. */
function stand(rules: readonly string[], wanted: readonly string[], tolerated: (rule: string) => boolean): boolean {
  const counted = rules.filter((rule) => includes(wanted, rule) || !tolerated(rule));
  const inPlace = wanted.every((rule, index) => sameRule(rule, counted[index] ?? ""));
  return inPlace && counted.filter((rule) => includes(wanted, rule)).length === wanted.length;
}

function includes(wanted: readonly string[], rule: string): boolean {
  return wanted.some((one) => sameRule(one, rule));
}
