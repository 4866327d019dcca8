import type { RuleTable } from "../../model/kernel/rules.ts";
import type { SavedTable } from "./save-format.ts";

/** The writes of a table in a row after which the agent leaves it to kube-proxy for longer and longer. */
const PATIENT_WRITES = 3;
/** The most reads of a table for which it is left to the other proxy: half an hour by default, at two minutes each. */
const MOST_SKIPS = 16;
/** The reads without a difference after which a contest is over. */
const CALM_READS = 4;

interface Contest {
  writes: number;
  skips: number;
  calm: number;
}

/**
 * Decides when a table that another service proxy rewrites again and again is written again. Both write complete rules for
 * the same Services, so the rules of the other serve as well, and to rewrite them at every resync would never end.
 */
export class TableContests {
  readonly #contests = new Map<string, Contest>();

  /** The table was read, and is as it was written. */
  recordRight(key: string): void {
    const contest = this.#contests.get(key);
    if (contest === undefined) return;
    contest.calm += 1;
    if (contest.calm >= CALM_READS) this.#contests.delete(key);
  }

  /** The table was read, and kube-proxy has rewritten it. Returns whether to write it now. */
  mayWrite(key: string): boolean {
    const contest = this.#contests.get(key) ?? { writes: 0, skips: 0, calm: 0 };
    this.#contests.set(key, contest);
    contest.calm = 0;
    if (contest.skips > 0) {
      contest.skips -= 1;
      return false;
    }
    contest.writes += 1;
    if (contest.writes > PATIENT_WRITES) contest.skips = Math.min(MOST_SKIPS, 2 ** (contest.writes - PATIENT_WRITES));
    return true;
  }
}

/** Rules that only kube-proxy writes into the chains that it shares with the agent. */
const MARKS: readonly { readonly who: string; readonly pattern: RegExp }[] = [
  { who: "kube-proxy in iptables mode", pattern: /-[jg] KUBE-(NODEPORTS|(SVC|SVL|EXT|FW)-[A-Z2-7]{16})\b/ },
  {
    who: "kube-proxy in ipvs mode",
    pattern:
      /"Kubernetes (service lb portal|nodeport TCP port|service load balancer ip \+ port|health check node port)/,
  },
];

/** Returns the proxy that has written the agent's chains in this table; undefined if their rules do not show it. */
export function otherWriter(saved: SavedTable, { chains }: RuleTable): string | undefined {
  const rules = chains.flatMap(({ name }) => saved.get(name) ?? []);
  return MARKS.find(({ pattern }) => rules.some((rule) => pattern.test(rule)))?.who;
}
