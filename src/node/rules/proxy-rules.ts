import type { Rules } from "../../model/kernel/rules.ts";
import { filterTable } from "./filter.ts";
import { mangleTable } from "./mangle.ts";
import type { RuleOptions } from "./match.ts";
import { natTable } from "./nat.ts";

/**
 * Returns the chains that complement IPVS, which only selects a real server: they mark packets to masquerade and
 * packets of clients on this node, and drop packets that must not be served. All rules are static: they match sets, and
 * a Service changes only members of sets. Names are kube-proxy's where it has them. Rules are in the format of
 * iptables-save.
 */
export function proxyRules(options: RuleOptions): Rules {
  return { tables: [mangleTable(options), natTable(options), filterTable(options)] };
}

/** The chains that kube-proxy does not have. */
export const OWN_CHAINS: Readonly<Record<"mangle" | "nat" | "filter", readonly string[]>> = {
  mangle: ["KUBE-LOCAL-PODS", "KUBE-LOCAL-NODE", "KUBE-LOCAL-UNMARK"],
  nat: ["KUBE-LOCAL-POLICY"],
  filter: ["KUBE-IPVS-INVALID", "KUBE-IPVS-ACCEPT"],
};

/** The chains of kube-proxy in IPVS mode and of kube-ipvs, which `cleanup` removes with the jumps to them. */
export const PROXY_CHAINS: Readonly<Record<"mangle" | "nat" | "filter", readonly string[]>> = {
  mangle: OWN_CHAINS.mangle,
  nat: [
    "KUBE-SERVICES",
    "KUBE-POSTROUTING",
    "KUBE-NODE-PORT",
    "KUBE-LOAD-BALANCER",
    "KUBE-LOCAL-POLICY",
    "KUBE-MARK-MASQ",
  ],
  filter: [
    "KUBE-FORWARD",
    "KUBE-NODE-PORT",
    "KUBE-PROXY-FIREWALL",
    "KUBE-SOURCE-RANGES-FIREWALL",
    "KUBE-IPVS-FILTER",
    "KUBE-IPVS-INVALID",
    "KUBE-IPVS-OUT-FILTER",
    "KUBE-IPVS-ACCEPT",
  ],
};
