import { cidrContains, type IPAddress, parseCidr } from "../../model/address.ts";
import type { Packet } from "./packet.ts";
import { memberOf, type PacketSets } from "./set-match.ts";

/** What a rule is matched against, apart from the packet. */
export interface MatchWorld {
  readonly sets: PacketSets;
  /** Whether an interface of the node has the address. */
  readonly isLocal: (address: IPAddress) => boolean;
}

/** The target of a rule with its options, as "-j MARK --set-xmark 0x4000/0x4000". */
export interface RuleTarget {
  readonly name: string;
  /** Whether the rule continues elsewhere without coming back (-g). */
  readonly isGoto: boolean;
  readonly options: readonly string[];
}

/** Whether a packet matches a rule; "unknown" with the match that cannot be evaluated here. */
export type RuleMatch =
  | { readonly kind: "match" | "no match"; readonly target: RuleTarget | undefined }
  | { readonly kind: "unknown"; readonly target: RuleTarget | undefined; readonly match: string };

type Verdict = boolean | "unknown";

/** Evaluates the matches of a rule in order; the first that fails decides, then one that is unknown. */
export function matchRule(words: readonly string[], packet: Packet, world: MatchWorld): RuleMatch {
  const at = words.findIndex((word) => word === "-j" || word === "-g");
  const matches = at < 0 ? words : words.slice(0, at);
  const target =
    at < 0 ? undefined : { name: words[at + 1] ?? "", isGoto: words[at] === "-g", options: words.slice(at + 2) };
  let unknown: string | undefined;
  for (let index = 0; index < matches.length; ) {
    const isNegated = matches[index] === "!";
    if (isNegated) index++;
    const option = matches[index] ?? "";
    const values = valuesAfter(matches, index);
    const verdict = evaluate(option, values, packet, world, isNegated);
    if (verdict === "unknown") unknown ??= [option, ...values].join(" ");
    else if (verdict === isNegated) return { kind: "no match", target };
    index += 1 + values.length;
  }
  return unknown === undefined ? { kind: "match", target } : { kind: "unknown", target, match: unknown };
}

/** The words that belong to an option: all up to the next option or "!". */
function valuesAfter(words: readonly string[], index: number): readonly string[] {
  const values: string[] = [];
  for (const word of words.slice(index + 1)) {
    // A comment may look like an option.
    if (words[index] !== "--comment" && (word === "!" || /^--?[a-z]/i.test(word))) break;
    values.push(word);
    if (words[index] === "--comment") break;
  }
  // "! --ctstate X": a negation that stands behind the name of a match belongs to the next option.
  return values;
}

function evaluate(
  option: string,
  values: readonly string[],
  packet: Packet,
  { sets, isLocal }: MatchWorld,
  isNegated: boolean,
): Verdict {
  const [value = ""] = values;
  switch (option) {
    case "-m":
      return KNOWN_MATCHES.has(value) ? !isNegated : "unknown";
    case "--comment":
      return true;
    case "-p":
      return value === "all" || value === packet.protocol.toLowerCase();
    case "-s":
      return isIn(packet.source, value);
    case "-d":
      return isIn(packet.destination, value);
    case "-i":
      return isInterface(packet.inInterface, value);
    case "-o":
      return isInterface(packet.outInterface, value);
    case "--dport":
    case "--dports":
      return isPort(packet.port, value);
    case "--sport":
    case "--sports":
      return isPort(packet.sourcePort, value);
    case "--mark":
      return isMark(packet.mark, value);
    case "--ctstate":
      return value.split(",").includes(packet.state) || (packet.isMasqueraded && value.split(",").includes("SNAT"));
    case "--state":
      return value.split(",").includes(packet.state);
    case "--ctdir":
      return value === packet.direction;
    case "--ctstatus":
      return packet.state === "ESTABLISHED" && value.split(",").some((one) => one === "CONFIRMED" || one === "ASSURED");
    case "--src-type":
      return value === "LOCAL" ? isLocal(packet.source) : "unknown";
    case "--dst-type":
      return value === "LOCAL" ? isLocal(packet.destination) : "unknown";
    case "--match-set": {
      const member = memberOf(sets, value, values[1] ?? "", packet);
      return member === "unknown" ? "unknown" : member !== undefined;
    }
    case "--icmp-type":
    case "--icmpv6-type":
      return false;
    default:
      return "unknown";
  }
}

const KNOWN_MATCHES: ReadonlySet<string> = new Set([
  ...["tcp", "udp", "sctp", "comment", "mark", "conntrack", "state", "addrtype", "set", "multiport", "icmp", "icmp6"],
]);

function isIn(address: IPAddress, text: string): boolean {
  const network = parseCidr(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
  return network !== undefined && cidrContains(network, address);
}

function isInterface(name: string, pattern: string): boolean {
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) && name !== "" : name === pattern;
}

/** "80", "80:90" or a list of these. */
function isPort(port: number, text: string): boolean {
  return text.split(",").some((range) => {
    const [first = "", last = first] = range.split(":");
    return port >= Number(first || 0) && port <= Number(last || 65_535);
  });
}

/** "0x4000/0x4000" or "0x4000". */
function isMark(mark: number, text: string): boolean {
  const [value = "0", mask = "0xffffffff"] = text.split("/");
  return (mark & Number(mask)) >>> 0 === Number(value) >>> 0;
}
