import type { Jump } from "../../model/kernel/rules.ts";
import { type SavedTable, sameRule } from "./rule-text.ts";

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
