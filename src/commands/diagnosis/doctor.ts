import type { Config } from "../../config/config.ts";
import { diagnose, diagnosisText, factsOf, notExamined } from "../../explain/doctor/diagnose.ts";
import { quietLogger } from "../../process/log.ts";
import type { Output } from "../../process/standard-output.ts";
import { EXIT_DIFFERENT, EXIT_OK } from "../exit-codes.ts";
import { thisKernel } from "../this-node.ts";
import { nodeEvidence } from "./doctor-evidence.ts";
import { sourceEvidence } from "./source-evidence.ts";

/** Prints what is wrong with this node. Reads only. Exit code 2 if there is an error or a warning. */
export async function doctor(config: Config, output: Output, kernel = thisKernel(config)): Promise<number> {
  try {
    const evidence = await nodeEvidence(config, await sourceEvidence(config, quietLogger(output)), kernel);
    const findings = diagnose(evidence);
    const facts = factsOf(evidence);
    const unexamined = notExamined(evidence);
    output.out(
      config.output === "json"
        ? `${JSON.stringify({ node: config.nodeName, findings, facts, notExamined: unexamined }, null, 2)}\n`
        : diagnosisText(config.nodeName, findings, facts, unexamined),
    );
    return findings.some(({ severity }) => severity !== "info") ? EXIT_DIFFERENT : EXIT_OK;
  } finally {
    await kernel.close();
  }
}
