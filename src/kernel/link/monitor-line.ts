import { parseAddress } from "../../model/address.ts";
import type { AddressChange } from "../../model/kernel/address-change.ts";

/**
 * Reads a line of `ip -o monitor address`; undefined if it tells of no address.
 *
 *     90: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0\       valid_lft forever preferred_lft forever
 *     Deleted 1: lo    inet6 fd00:9::2/64 scope global nodad \       valid_lft forever preferred_lft forever
 *     7: ppp0    inet 10.0.0.1 peer 10.0.0.2/32 scope global ppp0\       valid_lft forever preferred_lft forever
 */
export function parseMonitorLine(line: string): AddressChange | undefined {
  const [, deleted, link, text] = /^(Deleted )?\d+: (\S+)\s+inet6? ([0-9a-fA-F.:]+)/.exec(line) ?? [];
  const address = text === undefined ? undefined : parseAddress(text);
  if (link === undefined || address === undefined) return undefined;
  return { kind: deleted === undefined ? "appeared" : "vanished", link, address };
}
