import type { AgentParts } from "./agent-parts.ts";
import type { Config } from "./config/config.ts";
import { nodeWants } from "./desired/node-wants.ts";
import { ProxyState } from "./desired/proxy-state.ts";
import { nodeWarningNotice, startNotice } from "./events/notices.ts";
import { ProblemReporter } from "./events/problem-reporter.ts";
import type { AddressChange } from "./kernel/link/monitor.ts";
import type { IPFamily } from "./model/address.ts";
import { timeOf } from "./model/clock.ts";
import type { Rejection } from "./model/cluster/service.ts";
import type { SetEntry } from "./model/kernel/ipset.ts";
import type { Scheduler } from "./model/kernel/ipvs.ts";
import { NodeAbsence } from "./node/node-absence.ts";
import { NodeAddresses } from "./node/node-addresses.ts";
import { isAboutNode, NO_SURROUNDINGS, nodeFacts, sameNodeFacts } from "./node/node-facts.ts";
import { type NodeDeficits, NodePreparation } from "./node/node-preparation.ts";
import type { SetupFor } from "./node/node-setup.ts";
import { apiServers } from "./node/reserved-addresses.ts";
import { version } from "./process/version.ts";
import {
  answerProbe,
  type HealthAnswer,
  type HealthFacts,
  healthAfterFailure,
  healthAfterLook,
  healthAfterPrepare,
  healthAfterRequest,
  healthAfterSync,
  healthAtStart,
  type Probe,
} from "./serve/health.ts";
import type { ClusterEvent } from "./services/cluster-event.ts";
import { Pacer } from "./sync/pacer.ts";
import { isExcluded } from "./sync/plan/ownership.ts";
import { Reconciler } from "./sync/reconciler.ts";
import type { LookReport, SyncReport } from "./sync/sync-report.ts";

/** How often the connections of draining real servers are counted. */
const DRAIN_CHECK_MS = 5_000;
/**
 * How long all else waits for the list of Nodes. Without the Node its zone is unknown, so that hints would be ignored and
 * connections made to far endpoints; but a list that is never allowed must not cost the node its Services.
 */
const NODE_PATIENCE_MS = 10_000;
/** Units of work on stale Services in one turn of the event loop: 50 Services with ten endpoints, about a millisecond. */
const WORK_PER_TURN = 600;
/** Services whose problems are listed in one turn. */
const REPORTS_PER_TURN = 16;

/**
 * The line: events of a source go in by `accept`, the kernel is made to hold what they want. It begins by making the node
 * ready and looking at the kernel; it writes nothing for Services before the first lists are complete.
 */
export class Agent {
  readonly #config: Config;
  readonly #families: readonly IPFamily[];
  readonly #parts: AgentParts;
  readonly #state: ProxyState;
  readonly #reconciler: Reconciler;
  readonly #pacer: Pacer;
  readonly #node: NodePreparation;
  readonly #addresses: NodeAddresses;
  readonly #absence: NodeAbsence;
  #health: HealthFacts;
  #hadNode = false;
  /** The addresses of this node were read and it was made ready once. */
  #isPrepared = false;
  #isAdvancing = false;
  #isOpen = false;
  /** When the changes were made that the kernel is not yet programmed for. */
  #changes: { readonly family: IPFamily; readonly atMs: number }[] = [];
  readonly #problems: ProblemReporter;
  /** A module that is loaded later is found after a restart: to try again and again would disturb Services that work. */
  readonly #missingSchedulers = new Set<Scheduler>();
  readonly #startedAtMs: number;
  /** When the first lists of Services and EndpointSlices were in. */
  #listedAtMs = Number.POSITIVE_INFINITY;

  constructor(config: Config, setupFor: SetupFor, parts: AgentParts) {
    this.#config = config;
    this.#node = new NodePreparation(config, setupFor, parts, {
      nodePorts: () => this.#state.table.nodePorts(),
      onNeeds: () => this.#pacer.lookSoon(),
      onDeficits: (deficits) => this.#onDeficits(deficits),
    });
    this.#families = this.#node.families;
    this.#parts = parts;
    this.#startedAtMs = parts.clock.now();
    this.#problems = new ProblemReporter({ ...parts, ...config });
    this.#state = new ProxyState(nodeFacts(config, this.#families, NO_SURROUNDINGS));
    this.#health = healthAtStart({
      families: this.#families,
      syncPeriodMs: config.syncPeriodMs,
      startedAtMs: this.#startedAtMs,
      node: undefined,
    });
    this.#absence = new NodeAbsence(config, {
      ...parts,
      onAbsent: (warning) => parts.tell(nodeWarningNotice(config.nodeName, warning)),
    });
    this.#addresses = new NodeAddresses(parts, {
      isWanted: (address) => this.#state.desired.hasAddress(address),
      isOthers: (address) => isExcluded(address, config.excludeCidrs),
      onRead: () => {
        this.#refreshFacts();
        this.#advance();
      },
      onMeddling: () => this.#pacer.lookWhenRested(),
    });
    this.#reconciler = new Reconciler(
      {
        nodeName: config.nodeName,
        excludeCIDRs: config.excludeCidrs,
        drainTimeoutMs: config.drainTimeoutMs,
        drainCheckMs: DRAIN_CHECK_MS,
      },
      {
        kernel: parts.kernel,
        desired: this.#state.desired,
        clock: parts.clock,
        prepare: () => this.#prepare(),
        nextTurn: parts.nextTurn,
      },
    );
    this.#pacer = new Pacer(
      { minSyncPeriodMs: config.minSyncPeriodMs, syncPeriodMs: config.syncPeriodMs },
      {
        reconciler: this.#reconciler,
        clock: parts.clock,
        random: parts.random,
        onSync: (report) => this.#onSync(report),
        onLook: (report) => this.#onLook(report),
        onFailure: (error) => this.#onFailure(error),
      },
    );
  }

  /**
   * Keeps the kernel right until the signal aborts; what was begun is finished, and the kernel goes on serving. Rejects on bugs
   * only, which the log has with their stack.
   */
  async run(signal: AbortSignal): Promise<void> {
    this.#parts.tell(startNotice(this.#config.nodeName, version));
    try {
      await this.#pacer.run(signal);
    } catch (bug) {
      this.#parts.logger.error({ err: bug }, "a bug in kube-ipvs ends it");
      throw bug;
    }
  }

  /** Takes in what a source of truth tells. */
  accept(event: ClusterEvent): void {
    const touched = this.#state.apply(event);
    this.#count(event, touched);
    if (this.#state.table.listed) this.#listedAtMs = Math.min(this.#listedAtMs, this.#parts.clock.now());
    this.#node.followFamilies(event);
    if (isAboutNode(event)) this.#refreshFacts();
    this.#advance();
  }

  /** Takes in what the kernel tells of the node's addresses; undefined: something may have been missed. */
  hear(change: AddressChange | undefined): void {
    this.#addresses.hear(change);
  }

  /** Takes in how much is wrong at the source now, and of that what is new. */
  reject(count: number, fresh: readonly Rejection[]): void {
    this.#problems.rejectedAtSource(count, fresh);
  }

  /** The answer of a health endpoint. */
  probe(probe: Probe): HealthAnswer {
    const answer = this.#answer(probe);
    this.#parts.metrics.recordProbe(probe, answer);
    return answer;
  }

  /** Whether it does its work, by the rule of /livez. */
  isAlive(): boolean {
    return this.#answer("livez").status === 200;
  }

  #answer(probe: Probe): HealthAnswer {
    const { clock, missing } = this.#parts;
    const facts = { ...this.#health, missing: this.#areListsIn() ? "" : missing() || "unknown" };
    return answerProbe(probe, facts, clock, -clock.date().getTimezoneOffset());
  }

  #count(event: ClusterEvent, touched: number): void {
    const { metrics } = this.#parts;
    switch (event.kind) {
      case "service-upserted":
      case "service-deleted":
        metrics.recordChange("service");
        break;
      case "slice-upserted": {
        metrics.recordChange("endpoint");
        // At its arrival: the wall clock may be set before the kernel is programmed.
        const atMs = timeOf(event.slice.changedAtUnixMs, this.#parts.clock);
        if (touched > 0 && atMs > this.#startedAtMs) this.#changes.push({ family: event.slice.family, atMs });
        break;
      }
      case "slice-deleted":
        metrics.recordChange("endpoint");
        break;
      case "node-upserted":
      case "node-deleted":
      case "servicecidr-upserted":
      case "servicecidr-deleted":
      case "listed":
        break;
    }
  }

  /** As long as this is not so, a look comes after every sync period and asks again. */
  #areListsIn(): boolean {
    const isNodeListed = this.#state.table.isListed("nodes");
    return isNodeListed ? this.#state.table.listed : this.#parts.clock.now() >= this.#listedAtMs + NODE_PATIENCE_MS;
  }

  /** Works off stale Services in slices, one worker at a time; opens the reconciler when the first lists are worked off. */
  #advance(): void {
    // Before its addresses are read, the node might be made to give them to a Service.
    if (this.#isAdvancing || !this.#isPrepared || !this.#areListsIn()) return;
    this.#isAdvancing = true;
    // A bug in here ends the process, as an unhandled rejection: a restart looks and carries on.
    void this.#advanceAll();
  }

  async #advanceAll(): Promise<void> {
    const { nextTurn } = this.#parts;
    // Events come in bunches: those of one turn are computed together.
    await nextTurn();
    do {
      while (this.#state.stale > 0) {
        const changes = this.#state.advance(WORK_PER_TURN);
        const nowMs = this.#parts.clock.now();
        for (const keys of changes) this.#reconciler.mark(keys, nowMs);
        if (changes.length > 0) this.#request();
        await nextTurn();
      }
      if (!this.#isOpen) this.#open();
      this.#publishHealthChecks();
      this.#parts.metrics.recordNoLocalEndpoints((side, family) => this.#state.noLocalEndpoints.count(side, family));
      await this.#reportRefused();
    } while (this.#state.stale > 0);
    this.#isAdvancing = false;
  }

  /** A load balancer that asks may send clients at once, so the kernel comes first when all is new. */
  #publishHealthChecks(): void {
    if (!this.#health.synced) return;
    const checks = this.#state.healthChecks.takeChanged();
    if (checks !== undefined) this.#parts.onHealthChecks(checks.values());
  }

  #open(): void {
    this.#isOpen = true;
    this.#reconciler.open();
    this.#parts.logger.info({ ...this.#state.desired.counts() }, "first lists complete");
    this.#request();
  }

  #request(): void {
    const nowMs = this.#parts.clock.now();
    this.#health = healthAfterRequest(this.#health, nowMs);
    this.#parts.metrics.recordRequest(nowMs);
    this.#pacer.wake();
  }

  /** Learns the addresses of the node and makes it ready; part of every look. */
  async #prepare(): Promise<void> {
    await this.#addresses.read();
    this.#refreshFacts();
    await this.#node.prepare(this.#firstMembers());
    this.#isPrepared = true;
    this.#advance();
  }

  /**
   * Where NodePorts are asked for here: a kube-proxy leaves no such set, and without it our rules would not masquerade what
   * its virtual servers go on serving until our first sync, however long API servers cannot be reached. Later it is the sync
   * that adds members, or they would look like drift.
   */
  #firstMembers(): readonly SetEntry[] {
    return this.#isPrepared ? [] : nodeWants(this.#state.facts, []).entries;
  }

  #onDeficits({ warnings, ...deficits }: NodeDeficits): void {
    this.#problems.nodeWarnings(warnings);
    this.#health = healthAfterPrepare(this.#health, deficits);
  }

  #refreshFacts(): void {
    this.#absence.check(this.#state.table);
    const node = this.#state.table.node(this.#config.nodeName);
    this.#hadNode ||= node !== undefined;
    // A node whose Node was never there may be one without an API server. One whose Node is gone is leaving.
    this.#health = { ...this.#health, node: node ?? { leaving: this.#hadNode } };
    if (node !== undefined && this.#config.localMode === "NodeCIDR") this.#node.followPods(node.podCIDRs);
    const facts = nodeFacts(this.#config, this.#families, {
      nodes: this.#state.table.nodes(),
      addresses: this.#addresses.current,
      apiServers: apiServers(this.#state.table, this.#parts.apiServers()),
      missingSchedulers: [...this.#missingSchedulers],
    });
    if (sameNodeFacts(facts, this.#state.facts)) return;
    this.#parts.logger.info({ ...facts, reserved: [...facts.reserved.keys()] }, "facts of this node");
    this.#state.setFacts(facts);
  }

  #onSync(report: SyncReport): void {
    const { clock, logger, metrics } = this.#parts;
    const isFirst = !this.#health.synced;
    this.#problems.kernelAnswered();
    this.#problems.operationsFailed(report.failures);
    this.#health = healthAfterSync(this.#health, report);
    metrics.record(report);
    const { durationMs, operations, pending, state } = report;
    logger.debug({ durationMs, operations, pending }, "synced");
    if (isFirst && this.#health.synced) {
      logger.info({ sinceStartMs: Math.round(clock.now() - this.#startedAtMs), ...state.held }, "first sync complete");
      this.#publishHealthChecks();
    }
    if (pending === 0 && this.#state.stale === 0) this.#recordProgrammed();
    this.#learn(report.missingSchedulers);
  }

  /** What the kernel lacks is replaced at once. */
  #learn(missing: readonly Scheduler[]): void {
    const fresh = missing.filter((scheduler) => !this.#missingSchedulers.has(scheduler));
    if (fresh.length === 0) return;
    for (const scheduler of fresh) this.#missingSchedulers.add(scheduler);
    if (fresh.includes(this.#config.scheduler))
      this.#parts.logger.error({ scheduler: this.#config.scheduler }, "this kernel has not the scheduler of the node");
    this.#refreshFacts();
    this.#advance();
  }

  #recordProgrammed(): void {
    const nowMs = this.#parts.clock.now();
    for (const { family, atMs } of this.#changes) this.#parts.metrics.recordProgrammed(family, nowMs - atMs);
    this.#changes = [];
  }

  #onLook(report: LookReport): void {
    this.#problems.kernelAnswered();
    this.#health = healthAfterLook(this.#health);
    this.#parts.metrics.recordLook(report);
    this.#parts.metrics.recordState(this.#reconciler.state());
    if (report.drift.length > 0) this.#parts.logger.warn({ drift: report.drift }, "the kernel was changed by others");
  }

  #onFailure(error: unknown): void {
    this.#health = healthAfterFailure(this.#health, this.#parts.clock.now());
    this.#problems.kernelFailed(error);
  }

  /** Reports what Services do not get here; stops when Services are stale, as that may change by them. */
  async #reportRefused(): Promise<void> {
    const { refused } = this.#state;
    let reports = 0;
    for (const changes of refused.takeChanges()) {
      this.#problems.rejectedHere(changes, refused.size);
      if (++reports % REPORTS_PER_TURN > 0) continue;
      await this.#parts.nextTurn();
      if (this.#state.stale > 0) return;
    }
  }
}
