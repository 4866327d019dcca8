import { BUILT_IN_CHAINS, parseSave, rulesAheadOfJumps, target } from "../../kernel/iptables/save-format.ts";
import { FAMILIES, type IPFamily } from "../../model/address.ts";
import type { Finding } from "../finding.ts";
import { type CountedRule, parseRuleset, type Ruleset, ruleText } from "../trace/ruleset.ts";
import type { NodeEvidence } from "./evidence.ts";

/** The rules that a finding names. */
const NAMED = 5;
const HOOKS = ["INPUT", "FORWARD", "OUTPUT"];

/** Rules of other programs that drop or reject packets, and rules ahead of the jumps of the agent. */
export function ruleFindings(evidence: NodeEvidence): readonly Finding[] {
  return [...tableFindings(evidence), ...FAMILIES.flatMap((family) => iptablesFindings(evidence, family))];
}

/** Tables of nftables see the same packets, and a drop in one of them is final. */
function tableFindings({ foreignTables }: NodeEvidence): readonly Finding[] {
  return foreignTables
    .filter(({ name }) => !/ kube-proxy$/.test(name))
    .map(({ name, hooks }) => ({
      severity: hooks.some((hook) => hook.endsWith("(policy drop)")) ? ("warning" as const) : ("info" as const),
      what: `nftables table "${name}" of another program has rules at ${hooks.join(", ")}`,
      effect: "they see packets of Services too, and what they drop no rule of iptables brings back",
      cure: `If a Service does not answer and trace ends in "delivered", look for drop and reject: nft list table ${name}`,
    }));
}

function iptablesFindings(evidence: NodeEvidence, family: IPFamily): readonly Finding[] {
  const texts = evidence.saved[family] ?? [];
  const own = new Set(evidence.rules[family]?.tables.flatMap(({ chains }) => chains.map(({ name }) => name)));
  return [...texts.flatMap((text) => drops(parseRuleset(text), own, family)), ...ahead(texts, evidence, family)];
}

function drops(rules: Ruleset, own: ReadonlySet<string>, family: IPFamily): readonly Finding[] {
  const isForeign = (chain: string) => !own.has(chain) && (!BUILT_IN_CHAINS.has(chain) || HOOKS.includes(chain));
  const found = [...rules].flatMap(([table, chains]) =>
    [...chains]
      .filter(([chain]) => isForeign(chain))
      .flatMap(([chain, { rules: list }]) => list.filter(isDrop).map((rule) => dropOf(table, chain, rule))),
  );
  const active = found.filter(({ packets }) => packets > 0).toSorted((a, b) => b.packets - a.packets);
  if (active.length === 0) return [];
  const more = active.length > NAMED ? ` and ${active.length - NAMED} more` : "";
  return [
    {
      severity: "warning",
      what: `other programs drop or reject packets of ${family}: ${active
        .slice(0, NAMED)
        .map(({ text }) => text)
        .join("; ")}${more}`,
      effect: "they may drop packets of Services or their answers",
      cure: "Run kube-ipvs trace for a Service that does not answer: it names the rule that drops its packets",
    },
  ];
}

function dropOf(table: string, chain: string, rule: CountedRule): { readonly text: string; readonly packets: number } {
  return { text: ruleText(table, chain, rule), packets: rule.packets ?? 0 };
}

function isDrop({ text }: CountedRule): boolean {
  const name = target(text);
  return name === "DROP" || name === "REJECT";
}

function ahead(texts: readonly string[], { rules }: NodeEvidence, family: IPFamily): readonly Finding[] {
  const found = texts.flatMap((text) =>
    (rules[family]?.tables ?? []).flatMap(({ name, jumps }) => {
      const saved = parseSave(text, name);
      const hasJumps = jumps.some(({ from, rule }) => saved.get(from)?.some((other) => target(other) === target(rule)));
      return hasJumps ? rulesAheadOfJumps(saved, jumps).map(({ from, rule }) => `${name}/${from} "${rule}"`) : [];
    }),
  );
  if (found.length === 0) return [];
  return [
    {
      severity: "info",
      what: `rules of other programs stand before the jumps of kube-ipvs in ${family}: ${found.slice(0, NAMED).join("; ")}`,
      effect: "they see packets of Services first",
      cure: "The agent moves its jumps to the front once; rules that come back are left where they are",
    },
  ];
}
