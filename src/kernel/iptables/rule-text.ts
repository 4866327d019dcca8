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
