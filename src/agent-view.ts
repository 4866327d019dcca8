import type { AgentStatus } from "./agent-status.ts";
import type { Config } from "./config/config.ts";
import type { DesiredStateBuilder } from "./desired/desired-state-builder.ts";
import type { AgentReport } from "./explain/agent-report.ts";
import type { KernelView, ServiceView } from "./explain/service/service-view.ts";
import { viewOf } from "./explain/service/view-of.ts";
import type { ServiceName } from "./model/cluster/service.ts";
import type { OwnedServer } from "./model/kernel/traffic.ts";
import { podMatches } from "./node/node-setup.ts";
import type { Reconciler } from "./sync/reconciler.ts";
import type { DrainReport } from "./sync/sync-report.ts";

export interface AgentViewSources {
  readonly state: DesiredStateBuilder;
  readonly status: AgentStatus;
  readonly reconciler: Pick<Reconciler, "actual" | "drains">;
  /** Text with the first lists that are not complete; "" if all are. */
  readonly missingLists: () => string;
}

/** What the agent knows, for those who explain it. Reads its parts and changes nothing. */
export class AgentView {
  readonly #config: Config;
  readonly #sources: AgentViewSources;

  constructor(config: Config, sources: AgentViewSources) {
    this.#config = config;
    this.#sources = sources;
  }

  /** The state of the agent. */
  report(): AgentReport {
    return this.#sources.status.report(this.#sources.missingLists());
  }

  /** Whether the agent is alive by the rule of /livez. */
  isAlive(): boolean {
    return this.#sources.status.answer("livez", this.#sources.missingLists()).status === 200;
  }

  /** What the agent has about one Service, for an explanation. */
  service(name: ServiceName): ServiceView {
    const { state, status } = this.#sources;
    const { masqueradeAll, nodeName } = this.#config;
    const podCIDRs = state.table.node(nodeName)?.podCIDRs ?? [];
    return viewOf(state, name, {
      sourceProblems: status.sourceProblems(),
      failures: status.failuresOf(name),
      clients: { pods: podMatches(this.#config, podCIDRs), masqueradeAll },
      agent: status.times(),
    });
  }

  /** The names of all Services that this node proxies. */
  serviceNames(): Iterable<ServiceName> {
    return this.#sources.state.table.serviceNames();
  }

  /** The desired virtual servers and their owners, which may change meanwhile; undefined before the first sync is complete. */
  ownedServers(): Iterable<OwnedServer> | undefined {
    const { state, status } = this.#sources;
    return status.isSynced ? state.ownedServers() : undefined;
  }

  /** The drains that have ended, and real servers that drain, no more than `limit`. */
  drains(limit: number): DrainReport {
    return this.#sources.reconciler.drains(limit);
  }

  /** What the kernel holds, as of the last resync and all later operations. */
  kernel(): Pick<KernelView, "binding" | "hasAddress" | "hasEntry"> {
    const { actual } = this.#sources.reconciler;
    const { desired } = this.#sources.state;
    return {
      binding: this.#config.vipBinding,
      hasAddress: (address) => actual.hasAddress(address) || desired.isElsewhere(address),
      hasEntry: (key) => actual.hasEntry(key),
    };
  }
}
