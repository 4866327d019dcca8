import type { IPFamily } from "../../model/address.ts";
import type { IptablesBackend } from "../../model/kernel/rules.ts";

/** The rules of one backend on this node, those of all programs. */
export interface BackendState {
  readonly backend: IptablesBackend;
  /** All tables, as iptables-save prints them, of each family that could be read. */
  readonly saved: ReadonlyMap<IPFamily, string>;
  /** The families that could not be read, with the error of the program. */
  readonly unread: ReadonlyMap<IPFamily, string>;
  /** False if a family could not be read because the backend has no program. */
  readonly isInstalled: boolean;
}

/** A backend, and why it is used: text for an operator. */
export interface BackendChoice {
  readonly backend: IptablesBackend;
  readonly reason: string;
}

/** Chains that the kubelet keeps in the table mangle, so that other programs can find its backend (KEP-3178). */
const KUBELET_CHAIN = /^:(KUBE-IPTABLES-HINT|KUBE-KUBELET-CANARY)\s/m;

/**
 * Returns the backend that this node uses: the one that has the chains of the kubelet, nft if both have them, as
 * iptables-wrappers of Kubernetes decide. Without these chains it is the one in use, and before one is in use the one
 * that has more rules; undefined if neither has. A number of rules is no reason to leave the backend in use: any program
 * may change it. Nor is a chain in legacy while the rules of nft cannot be read.
 */
export function chooseBackend(
  nft: BackendState,
  legacy: BackendState,
  inUse?: IptablesBackend,
): BackendChoice | undefined {
  const ofNft = kubeletChain(nft);
  if (ofNft !== undefined) return { backend: "nft", reason: `the kubelet has its chain "${ofNft}" there` };
  const ofLegacy = kubeletChain(legacy);
  const isUnknown = inUse === "nft" && nft.unread.size > 0;
  if (ofLegacy !== undefined && !isUnknown)
    return { backend: "legacy", reason: `the kubelet has its chain "${ofLegacy}" there` };
  if (inUse !== undefined) return { backend: inUse, reason: "the kubelet has no chain in the other one" };
  const [rulesOfNft, rulesOfLegacy] = [ruleCount(nft), ruleCount(legacy)];
  if (rulesOfNft === rulesOfLegacy) return undefined;
  const backend = rulesOfNft > rulesOfLegacy ? "nft" : "legacy";
  const [more, less] = [Math.max(rulesOfNft, rulesOfLegacy), Math.min(rulesOfNft, rulesOfLegacy)];
  return { backend, reason: `it has ${more} rules and the other one ${less}, and the kubelet has no chain in either` };
}

function kubeletChain({ saved }: BackendState): string | undefined {
  for (const text of saved.values()) {
    const chain = KUBELET_CHAIN.exec(text)?.[1];
    if (chain !== undefined) return chain;
  }
  return undefined;
}

function ruleCount({ saved }: BackendState): number {
  return [...saved.values()].reduce((sum, text) => sum + countRules(text), 0);
}

/** Returns the number of rules in the output of iptables-save. */
function countRules(text: string): number {
  return text.match(/^(?:\[\d+:\d+\] )?-A /gm)?.length ?? 0;
}
