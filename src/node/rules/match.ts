import type { IPFamily } from "../../model/address.ts";
import { ipset, type SetBase } from "../../model/kernel/ipset.ts";
import type { VipBinding } from "../../model/vip-binding.ts";

/**
 * The input for the rules of one family. All of it is configuration: a Service changes members of sets, never a rule.
 */
export interface RuleOptions {
  readonly family: IPFamily;
  /** The bit of the packet mark that requests masquerading, 0 to 31. */
  readonly masqueradeBit: number;
  /** Whether all traffic to ClusterIPs is masqueraded. */
  readonly masqueradeAll: boolean;
  /**
   * The match for packets of pods, for example "-s 10.244.0.0/16"; undefined if they cannot be recognised; see
   * `podMatch`.
   */
  readonly pods: string | undefined;
  /** How VIPs are bound. */
  readonly vipBinding: VipBinding;
  /** The bits of the packet mark for marks of local traffic; see `localMark`. */
  readonly localMarkMask: number;
  /** Whether packets that conntrack classifies as invalid are dropped when forwarded. */
  readonly dropInvalid: boolean;
  /** Whether iptables supports `MASQUERADE --random-fully` (1.6.2). */
  readonly randomFully: boolean;
}

/** Returns a comment in the format of iptables-save. */
export function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}

/**
 * Returns the match of a set. `direction` selects the parts of the packet that are looked up, for example
 * "dst,dst,src".
 */
export function inSet(base: SetBase, direction: string, family: IPFamily): string {
  return `-m set --match-set ${ipset(base, family).name} ${direction}`;
}

/** Returns the negated match of `inSet`. */
export function notInSet(base: SetBase, direction: string, family: IPFamily): string {
  return `-m set ! --match-set ${ipset(base, family).name} ${direction}`;
}

/** Returns mark and mask in the format of iptables-save, for example "0x4000/0x4000". */
export function masked(mark: number, mask: number): string {
  return `${hex(mark)}/${hex(mask)}`;
}

/** Returns the mark that requests masquerading, with the same bit as mask. */
export function masqueradeMark({ masqueradeBit }: Pick<RuleOptions, "masqueradeBit">): string {
  const mark = 2 ** masqueradeBit;
  return masked(mark, mark);
}

/** Returns the target that clients see as a closed port. */
export function rejectPort(family: IPFamily): string {
  return `-j REJECT --reject-with ${family === "IPv4" ? "icmp-port-unreachable" : "icmp6-port-unreachable"}`;
}

/** Returns the match of a ping request. */
export function echoRequest(family: IPFamily): string {
  return family === "IPv4" ? "-p icmp -m icmp --icmp-type 8" : "-p ipv6-icmp -m icmp6 --icmpv6-type 128";
}

function hex(number: number): string {
  return `0x${number.toString(16)}`;
}
