import type { Config } from "../config/config.ts";
import { FAMILIES } from "../model/address.ts";
import { quietLogger } from "../process/log.ts";
import type { Output } from "../process/standard-output.ts";
import { readCluster } from "./cluster-source.ts";
import { problemText, renderPlanJson, renderPlanText } from "./dry-run/plan.ts";
import { planOf } from "./dry-run/plan-of.ts";
import { EXIT_DIFFERENT, EXIT_OK } from "./exit-codes.ts";

/**
 * Prints the objects that this node should hold, and the problems of objects also on standard error. Changes nothing and needs
 * no privilege.
 */
export async function plan(config: Config, output: Output): Promise<number> {
  // The plan does not read this machine: it uses both families and the kernel's default of the sysctl.
  const machine = { families: FAMILIES, liberalConntrack: false };
  const planned = planOf(config, await readCluster(config, quietLogger(output)), machine);
  output.out(config.output === "json" ? renderPlanJson(planned) : renderPlanText(planned));
  const problems = planned.rejected.map(problemText);
  for (const problem of problems) output.err(`${problem}\n`);
  return config.strict && problems.length > 0 ? EXIT_DIFFERENT : EXIT_OK;
}
