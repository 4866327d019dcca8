import type { Config } from "../config/config.ts";
import { kernelFamilies } from "../kernel/families.ts";
import type { Observed } from "../kernel/kernel.ts";
import { missingSchedulers } from "../kernel/modules.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import { configuredFamilies, familiesShown } from "../node/node-facts.ts";
import { nodeSetup } from "../node/node-setup.ts";
import { quietLogger } from "../process/log.ts";
import type { Output } from "../process/standard-output.ts";
import { isExcluded, isOurs } from "../sync/plan/ownership.ts";
import { readCluster } from "./cluster-source.ts";
import { differences, renderDifferences } from "./dry-run/differences.ts";
import type { NodePlan } from "./dry-run/plan.ts";
import { planOf } from "./dry-run/plan-of.ts";
import { EXIT_DIFFERENT, EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { evidenceOf, readHostInfo, thisKernel } from "./this-node.ts";

/** Compares the kernel of this node with the desired state and prints the differences. Reads only. Closes the kernel. */
export async function diff(config: Config, output: Output, kernel = thisKernel(config)): Promise<number> {
  const machine = await readHostInfo(await kernelFamilies());
  try {
    const cluster = await readCluster(config, quietLogger(output));
    const nodeAddresses = await kernel.nodeAddresses();
    const observed = await kernel.observe("all");
    const planned = await planFor(observed, (missing) => planOf(config, cluster, machine, nodeAddresses, missing));
    const used = cluster.events.flatMap((event) => familiesShown(event, config.nodeName));
    const needs = { podCIDRs: [], families: [...configuredFamilies(config), ...used] };
    const { changed, warnings } = await kernel.inspect({
      ...nodeSetup(config, machine, needs),
      rules: planned.rules,
    });
    const evidence = evidenceOf(observed, nodeAddresses, config);
    const found = [
      ...differences(planned.desired, observed, {
        binding: config.vipBinding,
        server: (server) => isOurs(server, evidence, config.excludeCidrs),
        address: (address) => !isExcluded(address, config.excludeCidrs),
        entry: () => true,
        drains: ({ protocol }, { weight }) => protocol === "TCP" && weight === 0,
      }),
      ...changed.map(({ text }) => ({ line: `~ ${text}`, service: undefined })),
    ];
    output.out(
      config.output === "json"
        ? `${JSON.stringify({ node: config.nodeName, differences: found, rejected: planned.rejected }, null, 2)}\n`
        : renderDifferences(found),
    );
    // State that could not be read may differ, so the exit code is not EXIT_OK.
    for (const warning of warnings) output.err(`${warning}\n`);
    if (warnings.length > 0) return EXIT_FAILURE;
    return found.length === 0 ? EXIT_OK : EXIT_DIFFERENT;
  } finally {
    await kernel.close();
  }
}

/**
 * Returns the plan in which the scheduler of the node stands in for those that the kernel lacks, as in the agent. A
 * scheduler that a virtual server has is not missing.
 */
async function planFor({ servers }: Observed, plan: (missing: readonly Scheduler[]) => NodePlan): Promise<NodePlan> {
  const planned = plan([]);
  const present = new Set([...servers.values()].map(({ server }) => server.scheduler));
  const wanted = new Set([...planned.desired.servers()].map(({ server }) => server.scheduler));
  const missing = await missingSchedulers([...wanted].filter((scheduler) => !present.has(scheduler)));
  return missing.length === 0 ? planned : plan(missing);
}
