import type { Packet } from "./packet.ts";
import { type MatchWorld, matchRule, type RuleTarget } from "./rule-match.ts";
import { type CountedRule, type Ruleset, ruleText } from "./ruleset.ts";
import { memberOf } from "./set-match.ts";

/** The end of a packet's way through one built-in chain. */
export interface Passage {
  readonly packet: Packet;
  readonly verdict: "passes" | "dropped" | "refused";
  /** What happened, one line for each rule with an effect. */
  readonly steps: readonly string[];
  /** The rule that ended the way; "" if none did. */
  readonly by: string;
}

type Outcome = "accept" | "return" | "drop" | "reject";

/** Chains may call each other; the kernel has a limit too. */
const DEEPEST = 32;
const LOGS: ReadonlySet<string> = new Set(["LOG", "NFLOG", "ULOG", "TRACE", "AUDIT"]);

/** Follows a packet through a built-in chain of one table. A rule with a match that cannot be evaluated is passed over, and named. */
export function traverse(rules: Ruleset, table: string, chain: string, packet: Packet, world: MatchWorld): Passage {
  const found = rules.get(table)?.get(chain);
  if (found === undefined) return { packet, verdict: "passes", steps: [], by: "" };
  const walk = new Walk(rules, table, world, packet);
  const outcome = walk.through(chain, 0);
  const { steps } = walk;
  if (outcome === "drop") return { packet: walk.packet, verdict: "dropped", steps, by: walk.by };
  if (outcome === "reject") return { packet: walk.packet, verdict: "refused", steps, by: walk.by };
  if (outcome === "return" && found.policy === "DROP") {
    const by = `the policy DROP of ${table}/${chain}`;
    return { packet: walk.packet, verdict: "dropped", steps: [...steps, `no rule accepts it`], by };
  }
  return { packet: walk.packet, verdict: "passes", steps, by: "" };
}

class Walk {
  readonly steps: string[] = [];
  by = "";
  packet: Packet;
  readonly #rules: Ruleset;
  readonly #table: string;
  readonly #world: MatchWorld;

  constructor(rules: Ruleset, table: string, world: MatchWorld, packet: Packet) {
    this.#rules = rules;
    this.#table = table;
    this.#world = world;
    this.packet = packet;
  }

  through(chain: string, depth: number): Outcome {
    for (const rule of this.#rules.get(this.#table)?.get(chain)?.rules ?? []) {
      const outcome = this.#apply(chain, rule, depth);
      if (outcome !== undefined) return outcome;
    }
    return "return";
  }

  /** Returns how the rule ends the chain; undefined: the next rule follows. */
  #apply(chain: string, rule: CountedRule, depth: number): Outcome | undefined {
    const match = matchRule(rule.words, this.packet, this.#world);
    const { target } = match;
    if (match.kind === "no match" || target === undefined) return undefined;
    const name = ruleText(this.#table, chain, rule);
    if (match.kind === "unknown") {
      this.steps.push(`${name} may match: "${match.match}" is not evaluated, the rule is passed over`);
      return undefined;
    }
    if (this.#rules.get(this.#table)?.has(target.name) === true) return this.#jump(target, depth);
    return this.#act(target, name);
  }

  #jump({ name, isGoto }: RuleTarget, depth: number): Outcome | undefined {
    if (depth >= DEEPEST) return undefined;
    const outcome = this.through(name, depth + 1);
    return outcome === "return" && !isGoto ? undefined : outcome;
  }

  #act({ name: target, options }: RuleTarget, rule: string): Outcome | undefined {
    switch (target) {
      case "ACCEPT":
        this.steps.push(`accepted by ${rule}`);
        return "accept";
      case "DROP":
        this.by = rule;
        return "drop";
      case "REJECT":
        this.by = rule;
        return "reject";
      case "RETURN":
        return "return";
      case "MARK":
        this.#setMark(marked(this.packet.mark, options), rule);
        return undefined;
      case "SET":
        this.#mapMark(options, rule);
        return undefined;
      case "MASQUERADE":
      case "SNAT":
        this.packet = { ...this.packet, isMasqueraded: true };
        this.steps.push(`source address replaced by ${rule}`);
        return "accept";
      default:
        if (!LOGS.has(target)) this.steps.push(`${rule}: the target ${target} is not followed`);
        return undefined;
    }
  }

  #mapMark(options: readonly string[], rule: string): void {
    const at = options.indexOf("--map-set");
    const member = memberOf(this.#world.sets, options[at + 1] ?? "", options[at + 2] ?? "", this.packet);
    if (at < 0 || member === undefined || typeof member === "string" || member.mark === undefined) return;
    const mask = member.markMask ?? 0xffffffff;
    this.#setMark(((this.packet.mark & ~mask) | member.mark) >>> 0, rule);
  }

  #setMark(mark: number, rule: string): void {
    if (mark === this.packet.mark) return;
    this.packet = { ...this.packet, mark };
    this.steps.push(`mark 0x${mark.toString(16)} set by ${rule}`);
  }
}

/** The mark after --set-xmark VALUE/MASK: the bits of the mask are cleared, then the value is combined by XOR. */
function marked(mark: number, options: readonly string[]): number {
  const at = options.findIndex((option) => option === "--set-xmark" || option === "--set-mark");
  const [value = "0", mask = "0xffffffff"] = (options[at + 1] ?? "0/0").split("/");
  return ((mark & ~Number(mask)) ^ Number(value)) >>> 0;
}
