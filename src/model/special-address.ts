import { type IPAddress, isIPv6LinkLocal, isLoopback } from "./address.ts";

/**
 * Why no Service may live at this address and no endpoint behind it, or undefined when it may. The API server refuses
 * these too; a proxy that trusts it would answer on, or send to, the node itself for an object that slipped through.
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

/** How all of them begin, and few others do: of 500,000 endpoints one question is enough. */
const PERHAPS = /^(?:0\.|127\.|169\.254\.|22[4-9]\.|23\d\.|255\.|:|f[ef])/;

/** 224.0.0.0/4 or ff00::/8, in canonical text. */
const MULTICAST = /^(22[4-9]|23\d)\.|^ff[0-9a-f]{2}:/;
