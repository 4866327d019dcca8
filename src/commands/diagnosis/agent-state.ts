import type { AgentView } from "../../agent-view.ts";
import { parseServiceTarget } from "../../config/settings/targets.ts";
import { reportText } from "../../explain/agent-report.ts";
import { findingLine } from "../../explain/finding.ts";
import { explainService, summarizeService } from "../../explain/service/explain-service.ts";
import { frontendText, KINDS, servedFrontends } from "../../explain/service/explained-frontends.ts";
import { explanationText } from "../../explain/service/explanation-text.ts";
import type { KernelView, ServiceView } from "../../explain/service/service-view.ts";
import type { NetlinkKernel } from "../../kernel/netlink-kernel.ts";
import type { StateAnswer, StateSource } from "../../serve/state-server.ts";

/** Answers questions about the running agent: from its own state, and of one Service also from the kernel. */
export class AgentState implements StateSource {
  readonly #agent: AgentView;
  readonly #kernel: Pick<NetlinkKernel, "traffic">;

  constructor(agent: AgentView, kernel: Pick<NetlinkKernel, "traffic">) {
    this.#agent = agent;
    this.#kernel = kernel;
  }

  status(): StateAnswer {
    const report = this.#agent.report();
    return { json: report, text: reportText(report) };
  }

  *services(): Generator<StateAnswer> {
    for (const name of this.#agent.serviceNames()) yield this.#summary(this.#agent.service(name));
  }

  async service(namespace: string, name: string, port: string | undefined): Promise<StateAnswer | undefined> {
    const target = parseServiceTarget(`${namespace}/${name}`, () => undefined);
    if (target === undefined) return undefined;
    const view = this.#agent.service(target.name);
    const explanation = explainService(view, await this.#kernelView(view), port);
    return { json: explanation, text: explanationText(explanation) };
  }

  async #kernelView(view: ServiceView): Promise<KernelView> {
    const keys = new Set(servedFrontends(view, undefined).map(({ key }) => key));
    return { ...this.#agent.kernel(), servers: await this.#kernel.traffic(keys) };
  }

  /** Without the kernel: what it holds is read for one Service alone. */
  #summary(view: ServiceView): StateAnswer {
    const { findings, frontends, usedEndpoints } = summarizeService(view);
    const service = view.name;
    const json = {
      service,
      frontends: frontends.map(({ frontend }) => `${KINDS[frontend.kind]} ${frontendText(frontend)}`),
      usedEndpoints,
      findings,
    };
    const worst = findings[0] === undefined ? "ok" : findingLine(findings[0]);
    return { json, text: `${service}: ${frontends.length} frontends, ${usedEndpoints} endpoints used: ${worst}\n` };
  }
}
