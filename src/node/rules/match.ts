import type { IPFamily } from "../../model/address.ts";
import { ipset, type SetBase } from "../../model/kernel/ipset.ts";

/** What the rules of one family are made from. All of it is configuration: a Service changes members of sets, never a rule. */
export interface RuleOptions {
  readonly family: IPFamily;
  /** 0-31: the bit of the packet mark that asks for masquerading. */
  readonly masqueradeBit: number;
  /** Masquerade everything that goes to a ClusterIP. */
  readonly masqueradeAll: boolean;
  /** The match for packets of pods, as "-s 10.244.0.0/16", or undefined when nothing tells them; see `podMatch`. */
  readonly pods: string | undefined;
  /** The bits of the packet mark in which marks of local traffic live; see `localMark`. */
  readonly localMarkMask: number;
  /** Whether packets that conntrack cannot place in a connection are dropped when forwarded. */
  readonly dropInvalid: boolean;
  /** Whether iptables knows `MASQUERADE --random-fully` (1.6.2). */
  readonly randomFully: boolean;
}

/** The match of a comment, as iptables-save prints it. */
export function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}

/** The match of a set; `direction` says which parts of the packet are looked up, as "dst,dst,src". */
export function inSet(base: SetBase, direction: string, family: IPFamily): string {
  return `-m set --match-set ${ipset(base, family).name} ${direction}`;
}

/** The opposite of `inSet`. */
export function notInSet(base: SetBase, direction: string, family: IPFamily): string {
  return `-m set ! --match-set ${ipset(base, family).name} ${direction}`;
}

/** Mark and mask as iptables-save prints them, "0x4000/0x4000". */
export function masked(mark: number, mask: number): string {
  return `${hex(mark)}/${hex(mask)}`;
}

/** The mark that asks for masquerading, which is its own mask. */
export function masqueradeMark({ masqueradeBit }: Pick<RuleOptions, "masqueradeBit">): string {
  const mark = 2 ** masqueradeBit;
  return masked(mark, mark);
}

/** The REJECT that a client takes for a closed port. */
export function rejectPort(family: IPFamily): string {
  return `-j REJECT --reject-with ${family === "IPv4" ? "icmp-port-unreachable" : "icmp6-port-unreachable"}`;
}

/** The match of a ping. */
export function echoRequest(family: IPFamily): string {
  return family === "IPv4" ? "-p icmp -m icmp --icmp-type 8" : "-p ipv6-icmp -m icmp6 --icmpv6-type 128";
}

function hex(number: number): string {
  return `0x${number.toString(16)}`;
}
