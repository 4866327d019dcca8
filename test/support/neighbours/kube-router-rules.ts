/** A pod as kube-router's network policies treat it. */
export interface PolicedPod {
  readonly ip: string;
  /** Whether the policy selects it: only the sources of the policy reach it. */
  readonly isGuarded: boolean;
}

export interface PolicyRulesSpec {
  readonly isIPv6: boolean;
  readonly pods: readonly PolicedPod[];
  /** --service-cluster-ip-range. */
  readonly clusterIPRange: string;
  /** --loadbalancer-ip-range. */
  readonly loadBalancerRanges: readonly string[];
  /** Part of the names of the chains of pods and policies; each sync has another. */
  readonly version: string;
}

/** The ipsets of the policy: pods that it selects, pods that it admits, networks that it admits. */
export const POLICY_SETS = {
  guarded: "KUBE-DST-3YNVZWWGX3UQQ4VQ",
  pods: "KUBE-SRC-TW2MK2TQ4OZLGBQC",
  networks: "KUBE-SRC-7XQ3DGVSMRBH5WUT",
} as const;

/** The name of a set in the kernel. */
export function setName(base: string, isIPv6: boolean): string {
  return isIPv6 ? `inet6:${base}` : base;
}

const BUILT_IN = ["INPUT", "FORWARD", "OUTPUT"];
const OWN = /KUBE-ROUTER-|KUBE-POD-FW-|KUBE-NWPLCY-/;

/**
 * Rewrites the filter table, as printed by iptables-save, as kube-router 2 does in each sync (pkg/controllers/netpol): the
 * jumps to its chains come first in each built-in chain, and the chains of pods and policies get new names. Without a
 * specification all that is kube-router's is removed. The text is for iptables-restore without --noflush.
 */
export function rewrittenFilterTable(saved: string, spec?: PolicyRulesSpec): string {
  const others = saved.split("\n").filter((line) => !OWN.test(line));
  const own = spec === undefined ? [] : ownRules(spec);
  const chains = [...new Set(own.map((rule) => rule.split(" ")[1] ?? ""))];
  return [
    "*filter",
    ...others.filter((line) => line.startsWith(":")),
    ...chains.map((name) => `:${name} - [0:0]`),
    ...(spec === undefined
      ? []
      : BUILT_IN.map((chain) => `-A ${chain} ${comment("kube-router netpol")} -j ${routerChain(chain)}`)),
    ...others.filter((line) => line.startsWith("-A")),
    ...own,
    "COMMIT",
    "",
  ].join("\n");
}

function ownRules(spec: PolicyRulesSpec): readonly string[] {
  return [
    ...routerRules(spec),
    ...commonRules(spec.isIPv6),
    "-A KUBE-NWPLCY-DEFAULT -j MARK --set-xmark 0x10000/0x10000",
    ...[POLICY_SETS.pods, POLICY_SETS.networks].flatMap((sources) => admission(spec, sources)),
    ...spec.pods.flatMap((pod) => podRules(spec, pod)),
    "-A KUBE-NWPLCY-TAIL -m mark --mark 0x20000/0x20000 -j ACCEPT",
  ];
}

function routerRules(spec: PolicyRulesSpec): readonly string[] {
  const returns = [
    `-d ${spec.clusterIPRange} -j RETURN`,
    ...["tcp", "udp", "sctp"].map(
      (protocol) => `-p ${protocol} -m addrtype --dst-type LOCAL -m multiport --dports 30000:32767 -j RETURN`,
    ),
    ...spec.loadBalancerRanges.map((range) => `-d ${range} -j RETURN`),
  ];
  return [
    ...returns.map((rule) => `-A KUBE-ROUTER-INPUT ${rule}`),
    ...spec.pods.flatMap((pod) => [
      ...["FORWARD", "OUTPUT"].map((chain) => `-A KUBE-ROUTER-${chain} -d ${pod.ip} -j ${podChain(spec, pod)}`),
      ...BUILT_IN.map((chain) => `-A KUBE-ROUTER-${chain} -s ${pod.ip} -j ${podChain(spec, pod)}`),
    ]),
    ...BUILT_IN.map((chain) => `-A KUBE-ROUTER-${chain} -j KUBE-NWPLCY-TAIL`),
  ];
}

function commonRules(isIPv6: boolean): readonly string[] {
  const icmp = isIPv6
    ? ["echo-request", "destination-unreachable", "time-exceeded", "neighbor-solicitation", "neighbor-advertisement"]
    : ["echo-request", "destination-unreachable", "time-exceeded"];
  const type = isIPv6 ? "-p ipv6-icmp --icmpv6-type" : "-p icmp --icmp-type";
  return [
    "-m conntrack --ctstate INVALID -j DROP",
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ...icmp.map((name) => `${type} ${name} -j ACCEPT`),
  ].map((rule) => `-A KUBE-NWPLCY-COMMON ${rule}`);
}

/** Returns the rules of the policy that mark packets from a set to the pods that it selects. */
function admission(spec: PolicyRulesSpec, sources: string): readonly string[] {
  const set = (base: string) => `-m set --match-set ${setName(base, spec.isIPv6)}`;
  const rule = `-A ${policyChain(spec)} ${set(sources)} src ${set(POLICY_SETS.guarded)} dst`;
  return [`${rule} -j MARK --set-xmark 0x10000/0x10000`, `${rule} -m mark --mark 0x10000/0x10000 -j RETURN`];
}

function podRules(spec: PolicyRulesSpec, pod: PolicedPod): readonly string[] {
  const unmarked = "-m mark ! --mark 0x10000/0x10000";
  return [
    "-j KUBE-NWPLCY-COMMON",
    `-m addrtype --src-type LOCAL -d ${pod.ip} -j ACCEPT`,
    `-s ${pod.ip} -j KUBE-NWPLCY-DEFAULT`,
    `-d ${pod.ip} -j ${pod.isGuarded ? policyChain(spec) : "KUBE-NWPLCY-DEFAULT"}`,
    `${unmarked} -m limit --limit 10/min --limit-burst 10 -j NFLOG --nflog-group 100`,
    `${unmarked} -j REJECT`,
    "-j MARK --set-xmark 0x0/0x10000",
    "-j MARK --set-xmark 0x20000/0x20000",
  ].map((rule) => `-A ${podChain(spec, pod)} ${rule}`);
}

function routerChain(builtIn: string): string {
  return `KUBE-ROUTER-${builtIn}`;
}

/** Chains may have 28 characters. */
function podChain({ version, pods }: PolicyRulesSpec, pod: PolicedPod): string {
  return `KUBE-POD-FW-${version}${pods.indexOf(pod)}GZK2UQ5LHNWR`.slice(0, 28);
}

function policyChain({ version }: PolicyRulesSpec): string {
  return `KUBE-NWPLCY-${version}JQ7VXN3DFMBK2`;
}

function comment(text: string): string {
  return `-m comment --comment "${text}"`;
}
