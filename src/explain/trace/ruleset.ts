import { ruleWords } from "../../kernel/iptables/save-format.ts";

/** A rule of iptables, with the packets that it has matched. */
export interface CountedRule {
  /** As iptables-save prints it, without "-A CHAIN". */
  readonly text: string;
  readonly words: readonly string[];
  /** From 1, as `iptables -L --line-numbers` counts. */
  readonly number: number;
  /** Undefined: not counted in the text. */
  readonly packets: number | undefined;
}

export interface CountedChain {
  /** "ACCEPT" or "DROP" of a built-in chain; "-" of others. */
  readonly policy: string;
  readonly rules: readonly CountedRule[];
}

/** The chains of each table, by names. */
export type Ruleset = ReadonlyMap<string, ReadonlyMap<string, CountedChain>>;

/** Returns all tables in the output of `iptables-save -c`. */
export function parseRuleset(text: string): Ruleset {
  const tables = new Map<string, Map<string, { policy: string; rules: CountedRule[] }>>();
  let table = new Map<string, { policy: string; rules: CountedRule[] }>();
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) {
      table = new Map();
      tables.set(line.slice(1).trim(), table);
    }
    const [, name, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (name !== undefined && policy !== undefined) table.set(name, { policy, rules: [] });
    const [, packets, from = "", rule = ""] = /^(?:\[(\d+):\d+\] )?-A (\S+) ?(.*)$/.exec(line) ?? [];
    const rules = table.get(from)?.rules;
    rules?.push({
      text: rule.trim(),
      words: ruleWords(rule),
      number: rules.length + 1,
      packets: packets === undefined ? undefined : Number(packets),
    });
  }
  return tables;
}

/** A rule for a reader: `rule 3 of filter/INPUT "-p tcp -j DROP" (12 packets)`. */
export function ruleText(table: string, chain: string, { number, text, packets }: CountedRule): string {
  const counted = packets === undefined ? "" : ` (${packets} packet${packets === 1 ? "" : "s"})`;
  return `rule ${number} of ${table}/${chain} "${text}"${counted}`;
}
