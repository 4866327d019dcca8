import type { Rules } from "../../model/kernel/rules.ts";
import { filterTable } from "./filter.ts";
import { mangleTable } from "./mangle.ts";
import type { RuleOptions } from "./match.ts";
import { natTable } from "./nat.ts";

/**
 * The chains beside IPVS, which picks a backend and does nothing else: they mark what is to be masqueraded and what comes
 * from this node's own clients, and drop what must not be served. All rules are static: they ask sets, so that a Service
 * changes members and no rule. Names are kube-proxy's where it has them. Rules read exactly as iptables-save prints them.
 */
export function proxyRules(options: RuleOptions): Rules {
  return { tables: [mangleTable(options), natTable(options), filterTable(options)] };
}

/**
 * Every chain of a kube-proxy in ipvs mode and of ours: what is to go when we go, or when a node taken over is cleaned.
 * The jumps that lead into them go with them.
 */
export const PROXY_CHAINS: Readonly<Record<"mangle" | "nat" | "filter", readonly string[]>> = {
  mangle: ["KUBE-LOCAL-PODS", "KUBE-LOCAL-NODE", "KUBE-LOCAL-UNMARK"],
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
