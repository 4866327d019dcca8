import type { Config } from "../../config/config.ts";
import type { ServiceTarget } from "../../config/settings/targets.ts";
import { type Explanation, explainService } from "../../explain/service/explain-service.ts";
import { servedFrontends } from "../../explain/service/explained-frontends.ts";
import { explanationText } from "../../explain/service/explanation-text.ts";
import type { KernelView, ServiceView } from "../../explain/service/service-view.ts";
import { viewOf } from "../../explain/service/view-of.ts";
import { kernelFamilies } from "../../kernel/families.ts";
import { KernelError } from "../../model/kernel/kernel-error.ts";
import { podMatches } from "../../node/node-setup.ts";
import { quietLogger } from "../../process/log.ts";
import type { Output } from "../../process/standard-output.ts";
import { readCluster } from "../cluster-source.ts";
import { stateOf } from "../dry-run/plan-of.ts";
import { EXIT_DIFFERENT, EXIT_OK } from "../exit-codes.ts";
import { thisKernel } from "../this-node.ts";
import { askAgent } from "./ask-agent.ts";

/** Prints why a Service answers or not: as the running agent sees it, or without one from the source and the kernel. */
export async function explain(config: Config, output: Output, kernel = thisKernel(config)): Promise<number> {
  try {
    const target = config.service;
    if (target === undefined) throw new Error("No Service is given");
    const explanation = (await asked(config, target)) ?? (await computed(config, target, output, kernel));
    output.out(config.output === "json" ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation));
    return explanation.findings.some(({ severity }) => severity !== "info") ? EXIT_DIFFERENT : EXIT_OK;
  } finally {
    await kernel.close();
  }
}

/** The explanation of the running agent; undefined if none answers. */
async function asked({ stateSocket }: Config, { name, port }: ServiceTarget): Promise<Explanation | undefined> {
  const query = port === undefined ? "" : `?port=${encodeURIComponent(port)}`;
  const answer = await askAgent(stateSocket, `/state/${name}${query}`);
  return answer.kind === "answer" ? (answer.json as Explanation) : undefined; // the agent is this program
}

type ReadKernel = Pick<ReturnType<typeof thisKernel>, "nodeAddresses" | "observe" | "traffic">;

async function computed(
  config: Config,
  { name, port }: ServiceTarget,
  output: Output,
  kernel: ReadKernel,
): Promise<Explanation> {
  const cluster = await readCluster(config, quietLogger(output));
  const addresses = await orUndefined(kernel.nodeAddresses(), output);
  const state = stateOf(config, cluster, await kernelFamilies(), addresses);
  const podCIDRs = state.table.node(config.nodeName)?.podCIDRs ?? [];
  const view = viewOf(state, name, {
    sourceProblems: cluster.problems,
    failures: [],
    clients: { pods: podMatches(config, podCIDRs), masqueradeAll: config.masqueradeAll },
  });
  const read = addresses === undefined ? undefined : await orUndefined(readKernel(config, view, kernel), output);
  return explainService(view, read, port);
}

async function readKernel(config: Config, view: ServiceView, kernel: ReadKernel): Promise<KernelView> {
  const servers = await kernel.traffic(new Set(servedFrontends(view, undefined).map(({ key }) => key)));
  const { addresses, entries } = await kernel.observe("all");
  const elsewhere = new Set(view.facts.ownAddresses);
  return {
    servers,
    binding: config.vipBinding,
    hasAddress: (address) => addresses.has(address) || elsewhere.has(address),
    hasEntry: (key) => entries.has(key),
  };
}

/** Without the right to read the kernel, or without IPVS in it, the desired state is explained alone. */
async function orUndefined<Result>(read: Promise<Result>, output: Output): Promise<Result | undefined> {
  try {
    return await read;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    output.err(`The kernel is not read: ${error.message}\n`);
    return undefined;
  }
}
