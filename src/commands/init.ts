import type { Config } from "../config/config.ts";
import { kernelFamilies } from "../kernel/families.ts";
import type { NodeSetup, StepReport } from "../kernel/kernel.ts";
import { KERNEL_MODULES, loadModules } from "../kernel/modules.ts";
import type { NetlinkKernel } from "../kernel/netlink-kernel.ts";
import { runProcess } from "../kernel/run-process.ts";
import { SysctlClient } from "../kernel/sysctl.ts";
import { configuredFamilies } from "../node/node-facts.ts";
import { nodeSetup } from "../node/node-setup.ts";
import type { Output } from "../process/standard-output.ts";
import { EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { checkFamilies } from "./family-checks.ts";
import { checkForgotten } from "./init-checks.ts";
import { readHostInfo, thisKernel } from "./this-node.ts";

/**
 * Does the steps that need privilege: loads modules, creates kube-ipvs0 and sets sysctls. Changes no object of a Service.
 * A step that fails is a warning and not a failure of the command, because a failure of the init container would keep the
 * agent from starting. The agent reports the problem again. Only a configuration with which no agent can work is a failure.
 */
export async function init(config: Config, output: Output, kernel = thisKernel(config)): Promise<number> {
  const print = ({ changed, warnings }: StepReport): void => {
    for (const line of changed) output.out(`${line}\n`);
    for (const warning of warnings) output.err(`${warning}\n`);
  };
  const families = await kernelFamilies();
  const found = [checkForgotten(config), checkFamilies(config, families)];
  const errors = found.flatMap((checks) => checks.errors);
  try {
    if (errors.length > 0) {
      print({ changed: [], warnings: errors });
      return EXIT_FAILURE;
    }
    print({ changed: [], warnings: found.flatMap((checks) => checks.warnings) });
    const { warnings } = await loadModules(KERNEL_MODULES, runProcess);
    print({ changed: [], warnings });
    const needs = { podCIDRs: [], families: configuredFamilies(config) };
    const setup = nodeSetup(config, await readHostInfo(families), needs);
    print(await interfaceReport(kernel, setup));
    print(await new SysctlClient().apply(setup.sysctls));
    return EXIT_OK;
  } finally {
    await kernel.close();
  }
}

/** Creates the interface, which has sysctls of its own. A failure becomes a warning. */
async function interfaceReport(kernel: NetlinkKernel, { families }: NodeSetup): Promise<StepReport> {
  try {
    const { changed, ...rest } = await kernel.ensureInterface(families);
    return { ...rest, changed: changed.map(({ text }) => text) };
  } catch (error) {
    return { changed: [], warnings: [error instanceof Error ? error.message : String(error)] };
  }
}
