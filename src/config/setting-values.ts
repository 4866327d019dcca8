import { type BindAddress, type Cidr, type IPAddress, parseAddress, parseCidr, UNSPECIFIED } from "../model/address.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import { SCHEDULERS } from "../model/kernel/scheduler.ts";
import { parseDurationMs } from "../model/time/duration.ts";

/** Reports a problem of a text. The problem is a clause that follows the text in the message. */
export type Refuse = (problem: string) => void;

/** Parses the text of a setting. Each problem is passed to `refuse`; then the returned value is meaningless. */
export type Parse<Value> = (text: string, refuse: Refuse) => Value;

/** A duration above zero, in ms. */
export const parsePeriodMs: Parse<number> = (text, refuse) => {
  let refused = false;
  const ms = parseDurationMs(text, (problem) => {
    refused = true;
    refuse(problem);
  });
  if (ms === 0 && !refused) refuse("must be greater than zero");
  return ms;
};

/**
 * A duration in whole seconds, rounded down; 0 does not change the value of the kernel. A duration between 0 and 1 s is
 * invalid, because it would be rounded to 0.
 */
export const parseTimeoutSeconds: Parse<number> = (text, refuse) => {
  const ms = parseDurationMs(text, refuse);
  if (ms > 0 && ms < 1000) refuse("must be at least 1s, or 0s to keep the value of the kernel");
  return Math.floor(ms / 1000);
};

/** A decimal integer from `min` to `max`. */
export function integerFrom(min: number, max: number): Parse<number> {
  return (text, refuse) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    refuse(max === Number.MAX_SAFE_INTEGER ? `must be an integer of at least ${min}` : `must be from ${min} to ${max}`);
    return min;
  };
}

/** The most that can be given as a number: more are as good as all. */
const MOST_AMOUNT = 100_000;

/** `none`, `all` or a number above zero: 0, infinite, or the number. YAML 1.1 reads `off` as a boolean. */
export const parseAmount: Parse<number> = (text, refuse) => {
  if (text === "none") return 0;
  if (text === "all") return Number.POSITIVE_INFINITY;
  return integerFrom(1, MOST_AMOUNT)(text, (problem) => refuse(`must be none, all, or a number: ${problem}`));
};

const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/** A boolean as Go's strconv.ParseBool reads it. */
export const parseBoolean: Parse<boolean> = (text, refuse) => {
  if (!TRUE.has(text) && !FALSE.has(text)) refuse("must be true or false");
  return TRUE.has(text);
};

/** One of the given words. */
export function oneOf<Word extends string>(...words: readonly [Word, ...Word[]]): Parse<Word> {
  return (text, refuse) => {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) refuse(`must be one of ${words.join(", ")}`);
    return word ?? words[0];
  };
}

/** Any text. */
export const parseText: Parse<string> = (text) => text;

const INTERFACE = /^[\w.:@-]{0,14}$/;

/**
 * The name of a network interface or the prefix of names; "" for none. Linux allows 15 characters, and iptables needs one
 * of them for the `+` of a prefix.
 */
export const parseInterface: Parse<string> = (text, refuse) => {
  if (!INTERFACE.test(text)) refuse("must be at most 14 letters, digits, and any of . _ - : @");
  return text;
};

const MASK = /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i;

/**
 * A mask of at least two of the low 15 bits of the packet mark. Calico uses the high half by default, and the marks are
 * stored in a set of ports. The kubelet uses bit 15 for packets to drop.
 */
export const parseMarkMask: Parse<number> = (text, refuse) => {
  const mask = MASK.test(text) ? Number(text) : Number.NaN;
  if (mask >= 3 && mask < 0x8000 && (mask & (mask - 1)) !== 0) return mask;
  refuse("must be at least two bits of 0x7fff");
  return 0;
};

const NODE_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** The name of a Node object. It is trimmed and lower-cased, as the kubelet does with its own name. */
export const parseNodeName: Parse<string> = (text, refuse) => {
  const name = text.trim().toLowerCase();
  if (name === "") refuse("must not be blank");
  else if (!NODE_NAME.test(name)) refuse("must be a DNS name of lower case letters, digits, - and .");
  return name;
};

function items(text: string): readonly string[] {
  return text.trim() === "" ? [] : text.split(",").map((item) => item.trim());
}

/** A list of networks, separated by commas. An address without a prefix length is invalid. */
export const parseCidrs: Parse<readonly Cidr[]> = (text, refuse) =>
  items(text).flatMap((item) => {
    const network = parseCidr(item);
    if (network === undefined) refuse(`"${item}" is not a CIDR like 10.0.0.0/8`);
    return network ?? [];
  });

/** No network, one network, or one network of each family. */
export const parseClusterCidrs: Parse<readonly Cidr[]> = (text, refuse) => {
  const networks = parseCidrs(text, refuse);
  const families = new Set(networks.map((network) => network.family));
  if (networks.length !== families.size) refuse("must be one CIDR, or one IPv4 CIDR and one IPv6 CIDR");
  return networks;
};

/** A list of URLs of API servers, separated by commas, for example "https://10.0.0.1:6443". A URL with http has no TLS. */
export const parseServers: Parse<readonly string[]> = (text, refuse) =>
  items(text).map((item) => {
    const url = URL.parse(item);
    if (url === null || !/^https?:$/.test(url.protocol)) refuse(`"${item}" is not a URL like https://10.0.0.1:6443`);
    else if (url.username !== "") refuse("must not contain credentials: put them into a kubeconfig");
    return item;
  });

/** A list of networks (empty: all addresses), or only the word `primary`. */
export const parseNodePortAddresses: Parse<readonly Cidr[] | "primary"> = (text, refuse) => {
  const words = items(text);
  if (words.length === 1 && words[0] === "primary") return "primary";
  if (!words.includes("primary")) return parseCidrs(text, refuse);
  refuse("primary cannot be combined with other values");
  return "primary";
};

/** A list of IP addresses, separated by commas. */
export const parseAddresses: Parse<readonly IPAddress[]> = (text, refuse) =>
  items(text).flatMap((item) => {
    const address = parseAddress(item);
    if (address === undefined) refuse(`"${item}" is not an IP address`);
    return address ?? [];
  });

/** An IP address. */
export const parseIp: Parse<IPAddress> = (text, refuse) => {
  const address = parseAddress(text);
  if (address === undefined) refuse("must be an IP address");
  return address ?? UNSPECIFIED.IPv4;
};

/** The servers that can be switched off. */
export type ServerName = "metrics" | "healthz";

export const parseServerNames: Parse<readonly ServerName[]> = (text, refuse) =>
  items(text).map((item) => oneOf<ServerName>("metrics", "healthz")(item, (problem) => refuse(`"${item}" ${problem}`)));

/** The proxy mode: ipvs or the empty text, which kube-ipvs takes as ipvs. */
export const parseMode: Parse<"ipvs"> = (text, refuse) => {
  if (text !== "ipvs" && text !== "")
    refuse(
      ["iptables", "nftables"].includes(text)
        ? `kube-ipvs has only the mode ipvs: run kube-proxy --proxy-mode=${text} for this mode, or set the mode to ipvs`
        : "kube-ipvs has only the mode ipvs: set the mode to ipvs, or run kube-proxy for another mode",
    );
  return "ipvs";
};

/** An IPVS scheduler. The empty text, which is the default of kube-proxy, means rr. */
export const parseScheduler: Parse<Scheduler> = (text, refuse) =>
  oneOf(...SCHEDULERS)(text === "" ? "rr" : text, refuse) as string as Scheduler;

/** "IP:port", "[IPv6]:port", or an IP address with `defaultPort`. The empty text means: do not listen. */
export function bindAddress(defaultPort: number): Parse<BindAddress | undefined> {
  return (text, refuse) => {
    if (text === "") return undefined;
    const bare = parseAddress(text);
    if (bare !== undefined) return { address: bare, port: defaultPort };
    const match = /^(?:\[([^\]]*:[^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
    const address = parseAddress(match?.[1] ?? match?.[2] ?? "");
    const port = Number(match?.[3]);
    if (address !== undefined && port >= 1 && port <= 65_535) return { address, port };
    refuse("must be IP:port with a port from 1 to 65535");
    return undefined;
  };
}
