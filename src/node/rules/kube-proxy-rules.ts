import type { IPFamily } from "../../model/address.ts";
import { ipset, type SetBase } from "../../model/kernel/ipset.ts";
import type { Jump, Rules } from "../../model/kernel/rules.ts";
import { filterTable } from "./filter.ts";
import { comment, masqueradeMark, type RuleOptions, rejectPort } from "./match.ts";
import { natTable } from "./nat.ts";

/**
 * Builds the chains of kube-proxy in IPVS mode over its own sets, for the time between kube-ipvs and kube-proxy: they refer
 * to no set and no chain that kube-proxy does not have. Two rules of kube-proxy are missing, which need modules that the
 * node may lack (physdev, ipvs); kube-proxy writes all of its rules in its first sync. The jumps are those that both have.
 */
export function kubeProxyRules(options: RuleOptions): Rules {
  const { family } = options;
  const mark = masqueradeMark(options);
  const to = matcher(family);
  // kube-proxy binds VIPs as addresses.
  const [nat, filter] = [natTable({ ...options, vipBinding: "address" }), filterTable(options)];
  const own = (name: string) => nat.chains.find((chain) => chain.name === name)?.rules ?? [];
  return {
    tables: [
      {
        name: "nat",
        chains: [
          { name: "KUBE-SERVICES", rules: servicesRules(own("KUBE-SERVICES"), to) },
          {
            name: "KUBE-LOAD-BALANCER",
            rules: [`${to("KUBE-LOAD-BALANCER-LOCAL", "dst,dst")} -j RETURN`, "-j KUBE-MARK-MASQ"],
          },
          { name: "KUBE-NODE-PORT", rules: nodePortRules(to) },
          { name: "KUBE-POSTROUTING", rules: own("KUBE-POSTROUTING") },
          { name: "KUBE-MARK-MASQ", rules: own("KUBE-MARK-MASQ") },
        ],
        jumps: nat.jumps,
      },
      {
        name: "filter",
        chains: [
          {
            name: "KUBE-FORWARD",
            rules: [
              `${comment("kubernetes forwarding rules")} -m mark --mark ${mark} -j ACCEPT`,
              `${comment("kubernetes forwarding conntrack rule")} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
            ],
          },
          { name: "KUBE-NODE-PORT", rules: [`${to("KUBE-HEALTH-CHECK-NODE-PORT", "dst")} -j ACCEPT`] },
          {
            name: "KUBE-PROXY-FIREWALL",
            rules: [`${to("KUBE-LOAD-BALANCER-FW", "dst,dst")} -j KUBE-SOURCE-RANGES-FIREWALL`],
          },
          {
            name: "KUBE-SOURCE-RANGES-FIREWALL",
            rules: [
              `${to("KUBE-LOAD-BALANCER-SOURCE-CIDR", "dst,dst,src")} -j RETURN`,
              `${to("KUBE-LOAD-BALANCER-SOURCE-IP", "dst,dst,src")} -j RETURN`,
              "-j DROP",
            ],
          },
          { name: "KUBE-IPVS-FILTER", rules: accessRules(family, to) },
          { name: "KUBE-IPVS-OUT-FILTER", rules: [] },
        ],
        jumps: filter.jumps.filter(isKubeProxys),
      },
    ],
  };
}

type Matcher = (base: SetBase, direction: string) => string;

function matcher(family: IPFamily): Matcher {
  return (base, direction) => `-m set --match-set ${ipset(base, family).name} ${direction}`;
}

function servicesRules([loopback = "", loadBalancer = "", clusterIP = ""]: readonly string[], to: Matcher): string[] {
  return [
    // The first three rules are the same.
    loopback,
    loadBalancer,
    clusterIP,
    `${to("KUBE-EXTERNAL-IP", "dst,dst")} -j KUBE-MARK-MASQ`,
    `${to("KUBE-EXTERNAL-IP", "dst,dst")} -m addrtype --dst-type LOCAL -j ACCEPT`,
    `${to("KUBE-EXTERNAL-IP-LOCAL", "dst,dst")} -m addrtype --dst-type LOCAL -j ACCEPT`,
    "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
    `${to("KUBE-CLUSTER-IP", "dst,dst")} -j ACCEPT`,
    `${to("KUBE-LOAD-BALANCER", "dst,dst")} -j ACCEPT`,
  ];
}

function nodePortRules(to: Matcher): readonly string[] {
  const rules = (protocol: string, direction: string, local: SetBase, all: SetBase) => [
    `-p ${protocol} ${to(local, direction)} -j RETURN`,
    `-p ${protocol} ${to(all, direction)} -j KUBE-MARK-MASQ`,
  ];
  return [
    ...rules("tcp", "dst", "KUBE-NODE-PORT-LOCAL-TCP", "KUBE-NODE-PORT-TCP"),
    ...rules("udp", "dst", "KUBE-NODE-PORT-LOCAL-UDP", "KUBE-NODE-PORT-UDP"),
    ...rules("sctp", "dst,dst", "KUBE-NODE-PORT-LOCAL-SCTP-HASH", "KUBE-NODE-PORT-SCTP-HASH"),
  ];
}

function accessRules(family: IPFamily, to: Matcher): readonly string[] {
  const served: readonly SetBase[] = [
    "KUBE-LOAD-BALANCER",
    "KUBE-CLUSTER-IP",
    "KUBE-EXTERNAL-IP",
    "KUBE-EXTERNAL-IP-LOCAL",
  ];
  return [
    ...served.map((base) => `${to(base, "dst,dst")} -j RETURN`),
    `${to("KUBE-HEALTH-CHECK-NODE-PORT", "dst")} -j RETURN`,
    `-m conntrack --ctstate NEW ${to("KUBE-IPVS-IPS", "dst")} ${rejectPort(family)}`,
  ];
}

/** Whether kube-proxy has this jump too. */
function isKubeProxys({ rule }: Jump): boolean {
  return !rule.endsWith("-j KUBE-IPVS-ACCEPT");
}
