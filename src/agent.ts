import type { AgentDependencies } from "./agent-dependencies.ts";
import { AgentStatus } from "./agent-status.ts";
import { AgentView } from "./agent-view.ts";
import type { Config } from "./config/config.ts";
import { buildDesiredNode } from "./desired/desired-node.ts";
import { DesiredStateBuilder } from "./desired/desired-state-builder.ts";
import { nodeWarningEvent, startEvent } from "./events/event-records.ts";
import type { AddressChange } from "./kernel/link/monitor.ts";
import type { Problem } from "./model/cluster/problem.ts";
import type { VirtualServerKey } from "./model/kernel/ipvs.ts";
import { NO_KEYS } from "./model/kernel/keys.ts";
import type { SetupFor } from "./node/node-setup.ts";
import { NodeTracker } from "./node/node-tracker.ts";
import { version } from "./process/version.ts";
import type { HealthAnswer, Probe } from "./serve/health.ts";
import type { ClusterEvent } from "./services/cluster-event.ts";
import { FirstLists } from "./services/first-lists.ts";
import { isExcluded } from "./sync/plan/ownership.ts";
import { Reconciler } from "./sync/reconciler.ts";
import { SyncLoop } from "./sync/sync-loop.ts";
import type { SyncReport } from "./sync/sync-report.ts";

/** How often the connections of draining real servers are counted. */
const DRAIN_CHECK_MS = 5_000;
/** The units of work on stale Services in one turn of the event loop: 50 Services with ten endpoints, about a millisecond. */
const WORK_PER_TURN = 600;

/**
 * - *preparing*: the addresses of this node are not read, or the node was not made ready. With the addresses unknown, a Service
 *   could take one of them. Becomes *listing* after the first successful preparation.
 * - *listing*: the first lists are not complete. Becomes *opening* when they are.
 * - *opening*: computes the first desired state; nothing is written for Services. Becomes *computing* when that is done and the
 *   sync loop is open.
 * - *computing*: open, and Services are stale. Becomes *current* when none is.
 * - *current*: open, and the desired state has all that was accepted. Each event, and each change of the node, makes it *computing*.
 */
type Mode = "preparing" | "listing" | "opening" | "computing" | "current";

/**
 * Joins the parts of the pipeline: `accept` takes the events of a source, and the sync loop brings the kernel to the desired
 * state. The agent first prepares the node and reads the kernel. It writes nothing for Services before the first lists are
 * complete.
 */
export class Agent {
  /** What the agent knows, for those who explain it. */
  readonly view: AgentView;
  readonly #config: Config;
  readonly #dependencies: AgentDependencies;
  readonly #node: NodeTracker;
  readonly #state: DesiredStateBuilder;
  /** Until they are complete, the resync of each sync period asks for them again. */
  readonly #lists: FirstLists;
  readonly #status: AgentStatus;
  readonly #reconciler: Reconciler;
  readonly #loop: SyncLoop;
  #mode: Mode = "preparing";

  constructor(config: Config, setupFor: SetupFor, dependencies: AgentDependencies) {
    this.#config = config;
    this.#dependencies = dependencies;
    this.#node = this.#track(setupFor);
    this.#state = new DesiredStateBuilder(this.#node.facts);
    this.#lists = new FirstLists(this.#state.table, dependencies.clock);
    this.#status = new AgentStatus(config, this.#node.families, dependencies);
    this.#reconciler = new Reconciler(
      {
        nodeName: config.nodeName,
        excludeCIDRs: config.excludeCidrs,
        vipBinding: config.vipBinding,
        drainTimeoutMs: config.drainTimeoutMs,
        drainCheckMs: DRAIN_CHECK_MS,
      },
      {
        kernel: dependencies.kernel,
        desired: this.#state.desired,
        clock: dependencies.clock,
        prepare: () => this.#prepare(),
        nextTurn: dependencies.nextTurn,
      },
    );
    this.#loop = new SyncLoop(
      { minSyncPeriodMs: config.minSyncPeriodMs, syncPeriodMs: config.syncPeriodMs },
      {
        reconciler: this.#reconciler,
        clock: dependencies.clock,
        cpuMs: dependencies.cpuMs,
        random: dependencies.random,
        isContested: () => this.#node.isContested,
        onSync: (report) => this.#onSync(report),
        onResync: (report) => this.#status.resynced(report, this.#reconciler.state()),
        onFailure: (error) => this.#status.kernelFailed(error),
      },
    );
    this.view = new AgentView(config, {
      state: this.#state,
      status: this.#status,
      reconciler: this.#reconciler,
      missingLists: () => this.#missingLists(),
    });
  }

  /**
   * Syncs the kernel until the signal is aborted. A sync that is running then is finished, and the kernel continues to serve.
   * Rejects on bugs only, and logs them with their stack.
   */
  async run(signal: AbortSignal): Promise<void> {
    this.#dependencies.recordEvent(startEvent(this.#config.nodeName, version));
    try {
      await this.#loop.run(signal);
    } catch (bug) {
      const stack = bug instanceof Error ? bug.stack : undefined;
      this.#dependencies.logger.error({ err: bug, stack }, "kube-ipvs ends because of a bug");
      throw bug;
    } finally {
      this.#node.stop();
    }
  }

  /** Uses another configuration, whose changes are all of live settings. */
  reconfigure(config: Config): void {
    this.#reconciler.setDrainTimeout(config.drainTimeoutMs);
    this.#loop.reconfigure(config);
    this.#status.reconfigure(config);
    this.#node.reconfigure(config);
    this.#advance();
  }

  /** Processes an event of the source. */
  accept(event: ClusterEvent): void {
    const touched = this.#state.apply(event);
    this.#status.accepted(event, touched);
    this.#lists.onEvent();
    this.#node.accept(event);
    this.#advance();
  }

  /** Processes a change of the node's addresses that the kernel reports; undefined: changes may have been missed. */
  onAddressChange(change: AddressChange | undefined): void {
    this.#node.onAddressChange(change);
  }

  /** Processes the number of current problems at the source, the new ones, and how to get all. */
  reject(count: number, fresh: readonly Problem[], all: () => Iterable<Problem> = () => fresh): void {
    this.#status.rejectedAtSource(count, fresh, all);
  }

  /** The next virtual servers whose existence shows that nobody has flushed IPVS; see `watchSentinels`. */
  takeSentinels(): ReadonlySet<VirtualServerKey> {
    return this.#reconciler.sentinels.take();
  }

  /** Processes sentinels that do not exist, and whether these are all: what another program deleted is written again at once. */
  onMissingServers(keys: readonly VirtualServerKey[], areAll: boolean): void {
    this.#reconciler.sentinels.lose(keys, areAll);
    this.#loop.mark(NO_KEYS);
  }

  /** Returns the answer of a health endpoint, and counts it. */
  probe(probe: Probe): HealthAnswer {
    return this.#status.probe(probe, this.#missingLists());
  }

  #track(setupFor: SetupFor): NodeTracker {
    const { excludeCidrs, nodeName } = this.#config;
    return new NodeTracker(this.#config, setupFor, this.#dependencies, {
      table: () => this.#state.table,
      isDesired: (address) => this.#state.desired.hasAddress(address),
      isOthers: (address) => isExcluded(address, excludeCidrs),
      // kube-proxy leaves no set of NodePort addresses. Without its members the rules would not masquerade the traffic of
      // kube-proxy's virtual servers until the first sync, which may be late if no API server can be reached. Later the sync
      // adds the members, because they would otherwise count as drift.
      firstMembers: () => (this.#mode === "preparing" ? buildDesiredNode(this.#node.facts, []).entries : []),
      isServing: () => this.#status.isSynced,
      onNode: (node) => this.#status.nodeIs(node),
      onFacts: (facts) => this.#state.setFacts(facts),
      onAddresses: () => this.#advance(),
      onExternalChange: () => this.#loop.resyncAfterExternalChange(),
      onNeeds: () => this.#loop.requestResync(),
      onDeficits: (deficits) => this.#status.nodeLacks(deficits),
      onAbsent: (warning) => this.#dependencies.recordEvent(nodeWarningEvent(nodeName, warning)),
    });
  }

  /** The first step of every resync. */
  async #prepare(): Promise<void> {
    await this.#node.prepare();
    if (this.#mode === "preparing") this.#mode = "listing";
    this.#advance();
  }

  #missingLists(): string {
    return this.#lists.areComplete ? "" : this.#dependencies.missing() || "unknown";
  }

  /** Begins to compute stale Services, unless this is running already or must wait. */
  #advance(): void {
    if (this.#mode === "current") this.#mode = "computing";
    else if (this.#mode === "listing" && this.#lists.areComplete) this.#mode = "opening";
    else return;
    // A bug in this function ends the process as an unhandled rejection. After a restart a resync recovers.
    void this.#compute();
  }

  /** Computes stale Services in slices; opens the sync loop after the Services of the first lists. */
  async #compute(): Promise<void> {
    const { metrics, nextTurn } = this.#dependencies;
    // Events often come together: those of one turn are computed together.
    await nextTurn();
    do {
      while (this.#state.stale > 0) {
        const changes = this.#state.advance(WORK_PER_TURN);
        const nowMs = this.#dependencies.clock.now();
        for (const keys of changes) this.#loop.mark(keys, nowMs);
        if (changes.length > 0) this.#status.requested();
        await nextTurn();
      }
      if (this.#mode === "opening") this.#open();
      this.#publishHealthChecks();
      metrics.recordNoLocalEndpoints(this.#state.noLocalEndpoints);
      metrics.recordWithoutEndpoints(this.#state.withoutEndpoints.size);
      await this.#status.rejectedHere(this.#state.problems, () => this.#state.stale > 0);
    } while (this.#state.stale > 0);
    this.#mode = "current";
  }

  #open(): void {
    this.#mode = "computing";
    this.#loop.open();
    this.#dependencies.logger.info({ ...this.#state.desired.counts() }, "first lists complete");
    this.#status.requested();
  }

  #onSync(report: SyncReport): void {
    if (this.#status.synced(report)) {
      this.#publishHealthChecks();
      this.#node.onServing();
    }
    if (report.pending === 0 && this.#state.stale === 0) this.#status.programmed();
    // A scheduler that the kernel does not have is replaced at once.
    if (this.#node.addMissingSchedulers(report.missingSchedulers)) this.#advance();
  }

  /** Publishes changed health checks, but not before the first sync: a load balancer may send clients at once. */
  #publishHealthChecks(): void {
    if (!this.#status.isSynced) return;
    const checks = this.#state.healthChecks.takeChanged();
    if (checks !== undefined) this.#dependencies.onHealthChecks(checks.values());
  }
}
