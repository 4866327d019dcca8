import { availableParallelism, release } from "node:os";
import type { Config } from "../config/config.ts";
import { nodeWants } from "../desired/node-wants.ts";
import type { Observed } from "../kernel/kernel.ts";
import { NetlinkKernel, type NetlinkKernelOptions } from "../kernel/netlink-kernel.ts";
import { SysctlClient } from "../kernel/sysctl.ts";
import { FAMILIES, type IPAddress, type IPFamily } from "../model/address.ts";
import { NO_SURROUNDINGS, nodeFacts } from "../node/node-facts.ts";
import type { Machine } from "../node/node-setup.ts";
import { PROXY_CHAINS } from "../node/rules/proxy-rules.ts";
import type { Evidence } from "../sync/plan/ownership.ts";

const LIBERAL_CONNTRACK = "net/netfilter/nf_conntrack_tcp_be_liberal";

/** What the rules and sysctls depend on here. */
export async function machineHere(families: readonly IPFamily[]): Promise<Machine> {
  const liberalConntrack = (await new SysctlClient().value(LIBERAL_CONNTRACK)) === "1";
  return { families, cpus: availableParallelism(), kernelRelease: release(), liberalConntrack };
}

/** The kernel that this process runs on. */
export function thisKernel(options: Pick<NetlinkKernelOptions, "onForgotten"> = {}): NetlinkKernel {
  return new NetlinkKernel({ chains: PROXY_CHAINS, ...options });
}

/**
 * What proves whose a virtual server is: what the kernel holds, and which addresses NodePorts have here, which a kube-proxy
 * does not leave in any set.
 */
export function evidenceOf(
  { addresses, entries }: Observed,
  nodeAddresses: readonly IPAddress[],
  config: Config,
): Evidence {
  const facts = nodeFacts(config, FAMILIES, { ...NO_SURROUNDINGS, addresses: nodeAddresses });
  const own = new Set(nodeWants(facts, []).entries.map(({ key }) => key));
  return { hasAddress: (address) => addresses.has(address), hasEntry: (key) => entries.has(key) || own.has(key) };
}
