export interface Rules {
  readonly tables: readonly RuleTable[];
}

export interface RuleTable {
  readonly name: "nat" | "filter" | "mangle";
  /**
   * Chains that belong to the agent alone: they are emptied and written anew, atomically with the rest of the table.
   */
  readonly chains: readonly { readonly name: string; readonly rules: readonly string[] }[];
  readonly jumps: readonly Jump[];
}

/**
 * A rule in a chain of other programs that leads into a chain of the agent: `OUTPUT` and `-m comment … -j
 * KUBE-SERVICES`.
 */
export interface Jump {
  readonly from: string;
  readonly rule: string;
  /**
   * The place of the jump: above all rules of other programs, so that none of them takes packets before it, or "last",
   * below all of them. Of several jumps in one chain the last one is the topmost, or the lowest.
   */
  readonly place?: "last";
}

/**
 * The two implementations of iptables. Neither shows the rules of the other, and the kernel applies both, so all
 * programs of a node should use the same.
 */
export type IptablesBackend = "legacy" | "nft";
