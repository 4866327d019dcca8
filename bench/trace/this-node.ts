/** Replaces src/commands/this-node.ts in a trace: the kernel is a scripted netlink peer, and no program is started. */
import type { NetlinkKernel, NetlinkKernelOptions } from "../../src/kernel/netlink-kernel.ts";
import type { IPFamily } from "../../src/model/address.ts";
import type { VirtualServerKey } from "../../src/model/kernel/ipvs.ts";
import type { HostInfo } from "../../src/node/node-setup.ts";
import { PROXY_CHAINS } from "../../src/node/rules/proxy-rules.ts";
import { FakeNode } from "../../test/unit/kernel/fake-node.ts";

/** Resolved when the trace ends. Until then no probe for virtual servers gets its answer. */
export const traceEnd = Promise.withResolvers<void>();

export async function readHostInfo(families: readonly IPFamily[]): Promise<HostInfo> {
  return { families, cpus: 1, kernelRelease: "6.1.0", liberalConntrack: false };
}

export function thisKernel(options: Pick<NetlinkKernelOptions, "onForgotten"> = {}): NetlinkKernel {
  const kernel = new FakeNode().kernel(PROXY_CHAINS, options);
  // The probe of each second would run among the functions of the change.
  return Object.assign(kernel, {
    present: (servers: ReadonlySet<VirtualServerKey>) => traceEnd.promise.then(() => servers),
  });
}
