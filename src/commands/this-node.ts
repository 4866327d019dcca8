import { availableParallelism, release } from "node:os";
import type { Config } from "../config/config.ts";
import { buildDesiredNode } from "../desired/desired-node.ts";
import { IptablesClient } from "../kernel/iptables/client.ts";
import type { Observed } from "../kernel/kernel.ts";
import { NetlinkKernel, type NetlinkKernelOptions } from "../kernel/netlink-kernel.ts";
import { SysctlClient } from "../kernel/sysctl.ts";
import { FAMILIES, type IPAddress, type IPFamily } from "../model/address.ts";
import { NOTHING_DISCOVERED, nodeFacts } from "../node/node-facts.ts";
import type { HostInfo } from "../node/node-setup.ts";
import { PROXY_CHAINS } from "../node/rules/proxy-rules.ts";
import type { OwnershipEvidence } from "../sync/plan/ownership.ts";

const LIBERAL_CONNTRACK = "net/netfilter/nf_conntrack_tcp_be_liberal";

/** The properties of this host on which the rules and sysctls depend. */
export async function readHostInfo(families: readonly IPFamily[]): Promise<HostInfo> {
  const liberalConntrack = (await new SysctlClient().value(LIBERAL_CONNTRACK)) === "1";
  return { families, cpus: availableParallelism(), kernelRelease: release(), liberalConntrack };
}

/** The kernel of this host, with the iptables backend of the configuration. */
export function thisKernel(
  { iptablesBackend }: Pick<Config, "iptablesBackend">,
  options: Pick<NetlinkKernelOptions, "onForgotten" | "otherAgents"> = {},
): NetlinkKernel {
  const iptables = new IptablesClient({ backend: iptablesBackend === "auto" ? undefined : iptablesBackend });
  return new NetlinkKernel({ chains: PROXY_CHAINS, iptables, ...options });
}

/**
 * The evidence of which virtual servers are ours: the addresses and set members in the kernel, and the NodePort addresses
 * of this node, which kube-proxy does not keep in a set.
 */
export function evidenceOf(
  { addresses, entries }: Observed,
  nodeAddresses: readonly IPAddress[],
  config: Config,
): OwnershipEvidence {
  const facts = nodeFacts(config, FAMILIES, { ...NOTHING_DISCOVERED, addresses: nodeAddresses });
  const own = new Set(buildDesiredNode(facts, []).entries.map(({ key }) => key));
  return { hasAddress: (address) => addresses.has(address), hasEntry: (key) => entries.has(key) || own.has(key) };
}
