import type { NodeSetup } from "../../../src/kernel/kernel.ts";

/** Our chains. */
export const CHAINS = { filter: ["KUBE-FORWARD"] };

/** The jump into them. */
export const JUMP = "-j KUBE-FORWARD";

/** Rules that lead into a chain; `rule` is its only one. */
export const forwardSetup = (rule = "-j ACCEPT"): NodeSetup => {
  const table = { name: "filter", chains: [{ name: "KUBE-FORWARD", rules: [rule] }], jumps: [] } as const;
  const jumps = [{ from: "FORWARD", rule: JUMP }];
  return {
    families: ["IPv4", "IPv6"],
    rules: { IPv4: { tables: [{ ...table, jumps }] }, IPv6: { tables: [{ ...table, jumps }] } },
    sysctls: [],
  };
};
