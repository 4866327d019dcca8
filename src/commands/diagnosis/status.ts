import type { Config } from "../../config/config.ts";
import { type AgentReport, reportText } from "../../explain/agent-report.ts";
import type { Output } from "../../process/standard-output.ts";
import { EXIT_DIFFERENT, EXIT_FAILURE, EXIT_OK } from "../exit-codes.ts";
import { askAgent } from "./ask-agent.ts";

/** Prints the state of the running agent. */
export async function status(config: Config, output: Output): Promise<number> {
  const answer = await askAgent(config.stateSocket, "/status");
  if (answer.kind === "no agent") {
    output.err(`${answer.reason}\n`);
    return EXIT_FAILURE;
  }
  const report = answer.json as AgentReport; // the agent is this program
  output.out(config.output === "json" ? `${JSON.stringify(report, null, 2)}\n` : reportText(report));
  return report.ready ? EXIT_OK : EXIT_DIFFERENT;
}
