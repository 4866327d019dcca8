import { type IPAddress, isIPv6LinkLocal, isLoopback } from "./address.ts";

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
