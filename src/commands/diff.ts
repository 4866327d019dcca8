import type { Config } from "../config/config.ts";
import { kernelFamilies } from "../kernel/families.ts";
import { configuredFamilies, familiesShown } from "../node/node-facts.ts";
import { nodeSetup } from "../node/node-setup.ts";
import { quietLogger } from "../process/log.ts";
import type { Output } from "../process/standard-output.ts";
import { isExcluded, isOurs } from "../sync/plan/ownership.ts";
import { readCluster } from "./cluster-source.ts";
import { diffPlan } from "./dry-run/plan.ts";
import { planOf } from "./dry-run/plan-of.ts";
import { EXIT_DIFFERENT, EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { evidenceOf, readHostInfo, thisKernel } from "./this-node.ts";

/** Compares the kernel of this node with the desired state and prints the differences. Reads only. Closes the kernel. */
export async function diff(config: Config, output: Output, kernel = thisKernel(config)): Promise<number> {
  const machine = await readHostInfo(await kernelFamilies());
  try {
    const cluster = await readCluster(config, quietLogger(output));
    const nodeAddresses = await kernel.nodeAddresses();
    const planned = planOf(config, cluster, machine, nodeAddresses);
    const used = cluster.events.flatMap((event) => familiesShown(event, config.nodeName));
    const needs = { podCIDRs: [], families: [...configuredFamilies(config), ...used] };
    const { changed, warnings } = await kernel.inspect({
      ...nodeSetup(config, machine, needs),
      rules: planned.rules,
    });
    const observed = await kernel.observe("all");
    const evidence = evidenceOf(observed, nodeAddresses, config);
    const lines = [
      ...diffPlan(planned.desired, observed, {
        server: (server) => isOurs(server, evidence, config.excludeCidrs),
        address: (address) => !isExcluded(address, config.excludeCidrs),
        entry: () => true,
      }),
      ...changed.map((text) => `~ ${text}`),
    ];
    output.out(
      config.output === "json"
        ? `${JSON.stringify({ node: config.nodeName, differences: lines, rejected: planned.rejected }, null, 2)}\n`
        : lines.map((line) => `${line}\n`).join(""),
    );
    // State that could not be read may differ, so the exit code is not EXIT_OK.
    for (const warning of warnings) output.err(`${warning}\n`);
    if (warnings.length > 0) return EXIT_FAILURE;
    return lines.length === 0 ? EXIT_OK : EXIT_DIFFERENT;
  } finally {
    await kernel.close();
  }
}
