import type { Config } from "../config/config.ts";
import { FAMILIES } from "../model/address.ts";
import type { Output } from "../process/standard-output.ts";
import { isOurs } from "../sync/plan/ownership.ts";
import { EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { evidenceOf, thisKernel } from "./this-node.ts";

/**
 * Removes the objects of kube-ipvs from the kernel of this node: addresses, virtual servers, sets and chains, and no
 * others. Closes the kernel.
 */
export async function cleanup(config: Config, output: Output, kernel = thisKernel(config)): Promise<number> {
  try {
    const observed = await kernel.observe("all");
    const evidence = evidenceOf(observed, await kernel.nodeAddresses(), config);
    const servers = [...observed.servers.values()].filter(({ server }) =>
      isOurs(server, evidence, config.excludeCidrs),
    );
    const outcomes = await kernel.apply(servers.map(({ server }) => ({ kind: "delete-virtual-server", server })));
    const { changed, warnings } = await kernel.remove(FAMILIES);
    const deleted = outcomes.filter((outcome) => outcome.ok).length;
    output.out(`${[`${deleted} virtual servers`, ...changed.map(({ text }) => text)].join("\n")}\n`);
    const left = observed.servers.size - servers.length + observed.unnamedServers;
    if (left > 0) output.out(`not changed: ${left} virtual servers of other programs\n`);
    for (const warning of warnings) output.err(`${warning}\n`);
    return warnings.length === 0 && deleted === servers.length ? EXIT_OK : EXIT_FAILURE;
  } finally {
    await kernel.close();
  }
}
