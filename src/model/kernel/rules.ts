export interface Rules {
  readonly tables: readonly RuleTable[];
}

export interface RuleTable {
  readonly name: "nat" | "filter" | "mangle";
  /** Ours alone: emptied and written anew, atomically with the rest of the table. */
  readonly chains: readonly { readonly name: string; readonly rules: readonly string[] }[];
  readonly jumps: readonly Jump[];
}

/** A rule in a chain of others that leads into ours: `OUTPUT` and `-m comment … -j KUBE-SERVICES`. */
export interface Jump {
  readonly from: string;
  readonly rule: string;
  /**
   * Where it belongs: above all rules of others, so that none of them takes packets away before it, or "last", below them
   * all. Of several in one chain the one named last is the topmost, or the lowest.
   */
  readonly place?: "last";
}
