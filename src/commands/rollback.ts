import type { Config } from "../config/config.ts";
import { kernelFamilies } from "../kernel/families.ts";
import type { Observed } from "../kernel/kernel.ts";
import type { NetlinkKernel } from "../kernel/netlink-kernel.ts";
import { familyOf } from "../model/address.ts";
import { givesMarks, ipset, portEntry } from "../model/kernel/ipset.ts";
import type { VirtualServer } from "../model/kernel/ipvs.ts";
import { describeOperation, type Operation } from "../model/kernel/operation.ts";
import { staticRules } from "../node/node-setup.ts";
import { kubeProxyRules } from "../node/rules/kube-proxy-rules.ts";
import { OWN_CHAINS } from "../node/rules/proxy-rules.ts";
import type { Output } from "../process/standard-output.ts";
import { isOurs } from "../sync/plan/ownership.ts";
import { EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { evidenceOf, readHostInfo, thisKernel } from "./this-node.ts";

/** The set that has a member for each virtual server by firewall mark. */
const BY_MARK = "KUBE-LOCAL-MARK-SERVERS";

/**
 * Removes from the kernel of this node what kube-proxy cannot use, while its Services go on: virtual servers by firewall
 * mark, chains and sets that only kube-ipvs has, and sets of a size that kube-proxy refuses. The chains of kube-proxy get
 * rules like those of kube-proxy. Connections stay: a virtual server by mark that still has some is kept and printed, and
 * the next call removes it. The agent must be stopped. Closes the kernel.
 */
export async function rollback(config: Config, output: Output, kernel = thisKernel(config)): Promise<number> {
  const machine = await readHostInfo(await kernelFamilies());
  try {
    const observed = await kernel.observe("all");
    const evidence = evidenceOf(observed, await kernel.nodeAddresses(), config);
    // First, so that no new connection begins at a virtual server by mark.
    const unmarked = await apply(kernel, marksOf(observed));
    const marked = [...observed.servers.values()]
      .map(({ server }) => server)
      .filter((server) => server.mark !== 0 && isOurs(server, evidence, config.excludeCidrs));
    const { idle, busy } = await divide(kernel, marked);
    const deleted = await apply(kernel, idle.flatMap(deletionOf));
    const kept = new Set([...busy.keys()].map(({ address }) => ipset(BY_MARK, familyOf(address)).name));
    const setup = { families: machine.families, rules: staticRules(config, machine, [], kubeProxyRules) };
    const { changed, warnings } = await kernel.handBack(setup, OWN_CHAINS, kept);
    const lines = [
      ...idle.map(({ key }) => `deleted virtual server "${key}"`),
      ...changed.map(({ text }) => text),
      ...[...busy].map(
        ([{ key }, connections]) =>
          `kept virtual server "${key}": it has ${connections === 1 ? "1 connection" : `${connections} connections`}. Run rollback again when they have ended`,
      ),
    ];
    output.out(lines.length === 0 ? "nothing to remove\n" : lines.map((line) => `${line}\n`).join(""));
    const problems = [...unmarked, ...deleted, ...warnings];
    for (const problem of problems) output.err(`${problem}\n`);
    return problems.length === 0 ? EXIT_OK : EXIT_FAILURE;
  } finally {
    await kernel.close();
  }
}

/** The operations that stop the marking of new connections. */
function marksOf({ entries }: Observed): readonly Operation[] {
  return [...entries.values()].filter(({ set }) => givesMarks(set)).map((entry) => ({ kind: "delete-entry", entry }));
}

/** The operations that delete a virtual server by mark and the member that proves whose it is. */
function deletionOf(server: VirtualServer): readonly Operation[] {
  const entry = portEntry(ipset(BY_MARK, familyOf(server.address)), server.mark);
  return [
    { kind: "delete-virtual-server", server },
    { kind: "delete-entry", entry },
  ];
}

/** Divides the virtual servers into those without connections, and the others with the number of their connections. */
async function divide(kernel: NetlinkKernel, servers: readonly VirtualServer[]) {
  const counted = await kernel.connections(new Set(servers.map(({ key }) => key)));
  const busy = new Map<VirtualServer, number>();
  for (const server of servers) {
    const reals = [...(counted.get(server.key)?.values() ?? [])];
    const connections = reals.reduce((sum, { active, inactive }) => sum + active + inactive, 0);
    if (connections > 0) busy.set(server, connections);
  }
  return { idle: servers.filter((server) => !busy.has(server)), busy };
}

/** Applies the operations; returns the failures as text. An object that is absent already is no failure. */
async function apply(kernel: NetlinkKernel, operations: readonly Operation[]): Promise<readonly string[]> {
  const outcomes = await kernel.apply(operations);
  return outcomes.flatMap((outcome, index) => {
    const operation = operations[index];
    if (outcome.ok || outcome.errno === "ENOENT" || outcome.errno === "ESRCH" || operation === undefined) return [];
    return [`Cannot delete ${describeOperation(operation)}: ${outcome.errno}`];
  });
}
