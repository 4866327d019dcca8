import ipaddr from "ipaddr.js";
import type { Brand } from "./brand.ts";

export type IPFamily = "IPv4" | "IPv6";
export const FAMILIES: readonly IPFamily[] = ["IPv4", "IPv6"];

/** Canonical text of one IP address, as `ip`, `ipvsadm` and `ipset` print it (RFC 5952 for IPv6). */
export type IPAddress = Brand<string, "IPAddress">;

/** A network: its address is masked to the prefix. `text` is canonical and identifies the network. */
export interface Cidr {
  readonly family: IPFamily;
  readonly address: IPAddress;
  readonly prefix: number;
  readonly text: string;
}

/**
 * Parses an address as Kubernetes reads stored objects: in the syntax of Go's net/netip, with leading zeros of IPv4
 * octets as decimal ("010.0.0.1" is 10.0.0.1). An IPv4-mapped IPv6 address becomes the IPv4 address. An IPv4-compatible
 * address ("::10.0.0.1") stays IPv6, so the node uses the address that admission checked. A zone or port makes the text
 * invalid.
 */
export function parseAddress(text: string): IPAddress | undefined {
  if (text.length > LONGEST_ADDRESS) return undefined;
  const trimmed = text.trim();
  if (trimmed.includes(":")) return parseIPv6(trimmed);
  return parseIPv4(trimmed);
}

/**
 * Upper limit that leaves room for leading zeros and spaces. A longer text is not an address and would only cost
 * parsing time.
 */
const LONGEST_ADDRESS = 128;
const LONGEST_CIDR = LONGEST_ADDRESS + "/128".length;

/** The usual form. One test of it takes 0.03 us, a parse 1.5 us, and there may be 500,000 endpoints. */
const CANONICAL_IPV4 = /^(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;
const IPV4 = /^0*(\d{1,3})\.0*(\d{1,3})\.0*(\d{1,3})\.0*(\d{1,3})$/;

function parseIPv4(text: string): IPAddress | undefined {
  if (CANONICAL_IPV4.test(text)) return text as IPAddress;
  const match = IPV4.exec(text);
  if (match === null) return undefined;
  const octets = match.slice(1).map(Number);
  if (octets.some((octet) => octet > 255)) return undefined;
  return octets.join(".") as IPAddress;
}

function parseIPv6(text: string): IPAddress | undefined {
  const groups = text.includes(".") ? withoutDots(text) : text;
  if (groups === undefined || groups.includes("%") || !ipaddr.IPv6.isValid(groups)) return undefined;
  const address = ipaddr.IPv6.parse(groups);
  if (address.isIPv4MappedAddress()) return address.toIPv4Address().toString() as IPAddress;
  return address.toRFC5952String() as IPAddress;
}

/**
 * Returns the same address without dotted decimals, which ipaddr.js reads differently: "::10.0.0.1" as mapped, "0x0a"
 * as 10.
 */
function withoutDots(text: string): string | undefined {
  const dotted = text.lastIndexOf(":") + 1;
  const address = parseIPv4(text.slice(dotted));
  if (address === undefined) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  return `${text.slice(0, dotted)}${hexGroup(a, b)}:${hexGroup(c, d)}`;
}

function hexGroup(high: number, low: number): string {
  return ((high << 8) | low).toString(16);
}

/** Returns the family of an address. */
export function familyOf(address: IPAddress): IPFamily {
  return address.includes(":") ? "IPv6" : "IPv4";
}

/** Returns the 4 or 16 bytes of an address in network order. */
export function addressBytes(address: IPAddress): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}

/** Returns the address of 4 or 16 bytes in network order. */
export function addressFromBytes(bytes: Uint8Array): IPAddress {
  if (bytes.length === 4) return bytes.join(".") as IPAddress;
  const parts: number[] = [];
  for (let i = 0; i < 16; i += 2) parts.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  return new ipaddr.IPv6(parts).toRFC5952String() as IPAddress;
}

/**
 * Parses "address/prefix"; host bits are cleared. Returns undefined for a bare address, and for an IPv4-mapped address,
 * because its prefix counts other bits than those of the IPv4 address.
 */
export function parseCidr(text: string): Cidr | undefined {
  if (text.length > LONGEST_CIDR) return undefined;
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text.trim());
  const address = parseAddress(match?.[1] ?? "");
  if (match === null || address === undefined) return undefined;
  if (text.includes(":") && familyOf(address) === "IPv4") return undefined;
  const prefix = Number(match[2]);
  if (prefix > hostPrefix(familyOf(address))) return undefined;
  return cidr(address, prefix);
}

/** Returns the network of `address` with a prefix of `prefix` bits. */
export function cidr(address: IPAddress, prefix: number): Cidr {
  const bytes = addressBytes(address).map((byte, index) => byte & maskByte(prefix - index * 8));
  const masked = addressFromBytes(bytes);
  return { family: familyOf(address), address: masked, prefix, text: `${masked}/${prefix}` };
}

function maskByte(bits: number): number {
  if (bits >= 8) return 0xff;
  return bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff;
}

/** Whether the network contains the address; false if their families differ. */
export function cidrContains(network: Cidr, address: IPAddress): boolean {
  return network.family === familyOf(address) && cidr(address, network.prefix).address === network.address;
}

/** The unspecified address of each family: no address, or all addresses. */
export const UNSPECIFIED: Readonly<Record<IPFamily, IPAddress>> = {
  IPv4: "0.0.0.0" as IPAddress, // this text is canonical
  IPv6: "::" as IPAddress,
};

/** Returns the prefix length of a single address: 32 or 128. */
export function hostPrefix(family: IPFamily): number {
  return family === "IPv4" ? 32 : 128;
}

/** Returns "10.0.0.1:80" or "[fd00::1]:80". */
export function addressPort(address: IPAddress, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether the address is in 127.0.0.0/8 or is ::1. */
export function isLoopback(address: IPAddress): boolean {
  return address === "::1" || address.startsWith("127.");
}

/**
 * Whether the address is in fe80::/10. IPv4 link-local addresses are different: they need no interface to be reachable.
 */
export function isIPv6LinkLocal(address: IPAddress): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address);
}

/**
 * Returns why the address cannot be a Service address or an endpoint; undefined if it can. The API server refuses these
 * addresses too, but an invalid object that it accepted would make a proxy answer on the node itself or send to it.
 */
export function specialPurpose(address: IPAddress): string | undefined {
  if (!PERHAPS.test(address)) return undefined;
  if (address === "0.0.0.0" || address === "::") return "is the unspecified address";
  if (isLoopback(address)) return "is a loopback address";
  if (address.startsWith("169.254.") || isIPv6LinkLocal(address)) return "is a link-local address";
  if (MULTICAST.test(address)) return "is a multicast address";
  if (address === "255.255.255.255") return "is the broadcast address";
  return undefined;
}

/**
 * The first characters of all special addresses and of few others: one test is enough for most of 500,000 endpoints.
 */
const PERHAPS = /^(?:0\.|127\.|169\.254\.|22[4-9]\.|23\d\.|255\.|:|f[ef])/;

/** Matches canonical text of 224.0.0.0/4 and ff00::/8. */
const MULTICAST = /^(22[4-9]|23\d)\.|^ff[0-9a-f]{2}:/;

/** Address and port on which a server listens. */
export interface BindAddress {
  readonly address: IPAddress;
  readonly port: number;
}
