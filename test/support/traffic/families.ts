import type { Addresses } from "../node/netns.ts";

/** An IP family, for tests that do the same in both. */
export interface FamilyCase {
  /** The ClusterIP number n. */
  vip(n: number): string;
  ip(host: Addresses): string;
}

/** Rows for `describe.each`. */
export const FAMILY_CASES: readonly (readonly ["IPv4" | "IPv6", FamilyCase])[] = [
  ["IPv4", { vip: (n) => vips(n)[0], ip: ({ ip }) => ip }],
  ["IPv6", { vip: (n) => vips(n)[1], ip: ({ ip6 }) => ip6 }],
];

/** Both ClusterIPs number n (1 to 255), as a dual-stack Service has them. */
export function vips(n: number): readonly [string, string] {
  return [`10.96.0.${n}`, `fd00:96::${n.toString(16)}`];
}
