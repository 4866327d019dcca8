import type { Kernel } from "../kernel/kernel.ts";
import type { RealServerKey, VirtualServerKey } from "../model/kernel/ipvs.ts";
import { KeySet, type Keys, NO_KEYS, namesOf } from "../model/kernel/keys.ts";
import { type ForgetFlows, inSafeOrder, type Operation } from "../model/kernel/operation.ts";
import type { Clock } from "../model/time/clock.ts";
import { type BatchSource, firstPart, takeBatch } from "./batch.ts";
import type { Desired } from "./desired.ts";
import { DriftCounts, OperationCounts } from "./operation-counts.ts";
import { PendingWork } from "./pending-work.ts";
import type { DrainedServers } from "./plan/drain.ts";
import { addWaiting, PART, type Planned, type PlanView, plan, unlockedBy } from "./plan/plan.ts";
import { ServerTracker } from "./plan/server-tracker.ts";
import { StaleFlows } from "./plan/stale-flows.ts";
import type { ReconcilerDependencies, ReconcilerOptions, SyncStart } from "./reconciler-options.ts";
import type { ActualState } from "./resync/actual-state.ts";
import { ActualStateReader, type BetweenSyncs } from "./resync/actual-state-reader.ts";
import { FailureLog } from "./retry/failure-log.ts";
import { classifyOutcomes, type FailedObject } from "./retry/outcomes.ts";
import { RetryQueue } from "./retry/retry-queue.ts";
import { Sentinels } from "./sentinels.ts";
import type { Batch, SyncPass } from "./sync-pass.ts";
import type { DrainReport, ReconcileState, ResyncReport, SyncReport } from "./sync-report.ts";

/**
 * Brings the kernel to the desired state: `resync` reads the kernel, `sync` writes the differences. Adoption at start, the
 * repair of drift and recovery are the same: a resync, then a sync. `SyncLoop` decides which of the two runs when. Changes may
 * be marked at any time.
 */
export class Reconciler {
  readonly #kernel: Kernel;
  readonly #desired: Desired;
  readonly #clock: Pick<Clock, "now">;
  readonly #nextTurn: () => Promise<void>;
  readonly #drainCheckMs: number;
  readonly #pending = new PendingWork();
  readonly #failures = new FailureLog();
  readonly #retries = new RetryQueue(this.#failures);
  readonly #reader: ActualStateReader;
  readonly #servers: ServerTracker;
  readonly #flows = new StaleFlows(this.#failures);
  readonly #source: BatchSource;
  readonly sentinels: Sentinels;
  #drainAtMs = 0;
  #oldestDrainMs = 0;

  constructor(options: ReconcilerOptions, dependencies: ReconcilerDependencies) {
    const { kernel, desired, clock, nextTurn } = dependencies;
    this.#kernel = kernel;
    this.#desired = desired;
    this.#clock = clock;
    this.#nextTurn = nextTurn;
    this.#drainCheckMs = options.drainCheckMs;
    this.#reader = new ActualStateReader(dependencies);
    this.#servers = new ServerTracker(options, { desired, actual: this.#reader.actual, clock });
    this.sentinels = new Sentinels(this.#reader, desired);
    this.#source = {
      desired,
      pending: this.#pending,
      retries: this.#retries,
      servers: this.#servers,
      flows: this.#flows,
    };
  }

  /**
   * Marks objects whose desired state has changed. The objects of one call are programmed together, in the order of the calls.
   * While the kernel is unknown, which may last, nothing is queued: the next resync compares everything.
   */
  mark(keys: Keys, atMs: number): void {
    if (this.isKnown) this.#pending.mark(keys, atMs);
    else this.#pending.markUnqueued(keys, atMs);
  }

  /** Sets the default time limit of draining, also for the real servers that drain already. */
  setDrainTimeout(drainTimeoutMs: number): void {
    this.#servers.setDrainTimeout(drainTimeoutMs);
  }

  /** Whether the state of the kernel is known, so that a sync needs no resync first. */
  get isKnown(): boolean {
    return this.#reader.isKnown;
  }

  /** When a sync is due: in the past if now, Infinity if nothing waits. */
  workAtMs(): number {
    if (!this.isKnown || this.#reader.invalidated.size > 0 || !this.#pending.isEmpty) return 0;
    const drainAtMs = this.#servers.draining.size > 0 ? this.#drainAtMs : Number.POSITIVE_INFINITY;
    return Math.min(drainAtMs, this.#flows.nextMs(), this.#retries.nextMs());
  }

  /** The actual state: the last resync, with the changes of all later operations. */
  get actual(): ActualState {
    return this.#reader.actual;
  }

  /** The drains: those that have ended, and some of the real servers that drain, no more than `limit`. */
  drains(limit: number): DrainReport {
    const { draining } = this.#servers;
    return { total: draining.size, ends: draining.ends, listed: draining.waiting(limit) };
  }

  state(): ReconcileState {
    const oldestMs = [this.#pending.oldestMs, this.#retries.oldestMs()].filter((ms) => ms !== undefined);
    return {
      desired: this.#desired.counts(),
      actual: this.#reader.actual.countsWithout(this.#servers.foreign),
      setMembers: this.#reader.actual.setMembers,
      foreignServers: this.#servers.foreign.size + this.#reader.unnamedServers,
      failedObjects: this.#retries.size,
      drainingRealServers: this.#servers.draining.size,
      oldestDrainMs: this.#servers.draining.size === 0 ? 0 : this.#oldestDrainMs,
      drainEnds: this.#servers.draining.ends,
      oldestPendingMs: oldestMs.length === 0 ? 0 : Math.min(...oldestMs),
    };
  }

  /** Prepares the node, as the first step of a resync. Rejects as the kernel does. */
  prepare(): Promise<void> {
    return this.#request(() => this.#reader.prepare());
  }

  /**
   * Prepares the node, reads the whole kernel and counts the drift. The parts are stored `betweenSyncs`: syncs may run
   * meanwhile. The next sync compares everything. One resync at a time. Rejects as the kernel does.
   */
  async resync(betweenSyncs: BetweenSyncs, drift = new DriftCounts()): Promise<ResyncReport> {
    const startedAtMs = this.#clock.now();
    const first = this.#reader.wasNeverRead;
    await this.#request(() => this.#reader.read(betweenSyncs, drift, (key) => this.#pending.has(key)));
    await betweenSyncs(() => {
      this.#servers.reviseAll();
      this.#pending.requireComparison();
    });
    return { durationMs: this.#clock.now() - startedAtMs, first, drift: drift.list() };
  }

  /**
   * Does what is due of the marked, failed and draining work. The kernel must be known; one sync at a time. Rejects as the
   * kernel does: then the kernel is unknown, and nothing that was marked is lost.
   */
  async sync({ startedAtMs, drift }: SyncStart): Promise<SyncReport> {
    const pass: SyncPass = { operations: new OperationCounts(), drift, failed: new KeySet(), cut: false };
    const full = this.#pending.needsComparison || this.#pending.isComparing;
    if (this.#pending.needsComparison)
      this.#pending.beginComparison(this.#desired, this.#reader.actual, this.#clock.now());
    if (this.#reader.invalidated.size > 0) await this.#observeInvalidated(drift);
    const batch = takeBatch(this.#source, this.#clock.now());
    pass.cut = this.#pending.size > 0;
    await this.#carryOut(batch, this.#servers.view, pass);
    await this.#drain(pass);
    await this.#forgetFlows(pass);
    return {
      startedAtMs,
      durationMs: this.#clock.now() - startedAtMs,
      full,
      ...pass.operations.counts(),
      failures: this.#failures.report(this.#desired, this.#clock.now()),
      pending: this.#pending.size,
      cut: pass.cut,
      drift: drift.list(),
      state: this.state(),
    };
  }

  /** Sends a request to the kernel. If it fails, any part of the actual state may be wrong. */
  async #request<Answer>(send: () => Promise<Answer>): Promise<Answer> {
    try {
      return await send();
    } catch (error) {
      this.#reader.invalidateAfterLoss();
      this.#flows.markUnknown();
      throw error;
    }
  }

  async #observeInvalidated(drift: DriftCounts): Promise<void> {
    const servers = new Set(this.#reader.invalidated);
    const waiting = new KeySet();
    addWaiting({ ...NO_KEYS, servers }, this.#servers.view, waiting);
    await this.#request(() => this.#reader.observeInvalidated(drift));
    for (const key of servers) this.#servers.classify(key);
    this.mark({ ...NO_KEYS, servers }, this.#clock.now());
    this.mark(waiting, this.#clock.now());
  }

  /** Applies a batch, then its unfinished part and the objects that its deletions unlocked, until there are no more. */
  async #carryOut(batch: Batch, view: PlanView, pass: SyncPass): Promise<void> {
    let round = batch;
    for (;;) {
      const done = await this.#apply(round, pass);
      const next = unlockedBy(done, view);
      for (const key of round.planned.unfinished) next.servers.add(key);
      if (next.size === 0) return;
      const unlocked = new KeySet();
      for (const name of namesOf(next)) if (!pass.failed.has(name)) unlocked.add(name);
      if (unlocked.size === 0) return;
      const keys = new KeySet();
      keys.take(firstPart(unlocked, batch.atMs, this.#pending, view));
      if (keys.size < unlocked.size) pass.cut = true;
      round = { keys, planned: plan(keys, view), atMs: batch.atMs };
    }
  }

  /** Returns the operations that were done. If the connection to the kernel is lost, the whole batch is pending again. */
  async #apply({ keys, planned, atMs }: Batch, pass: SyncPass): Promise<readonly Operation[]> {
    const ordered = inSafeOrder(planned.operations);
    if (ordered.length === 0) {
      this.#reader.actual.apply([], planned.reached);
      this.#recordDone(keys, planned.reached, pass.failed);
      await this.#nextTurn();
      return [];
    }
    this.#reader.touch(ordered);
    try {
      const outcomes = await this.#request(() => this.#kernel.apply(ordered));
      const { done, failed } = classifyOutcomes(ordered, outcomes);
      for (const { name } of failed.values()) if (name.kind === "server") planned.reached.delete(name.key);
      this.#reader.actual.apply(done, planned.reached);
      this.#flows.record(ordered, this.#reader.actual, this.#desired);
      for (const one of failed.values()) this.#recordFailure(one, pass.failed);
      pass.operations.add(ordered, outcomes);
      // A server that was written is ours, even if it is not desired any more or its member could not be added.
      done.forEach((operation) => {
        if ("server" in operation && !planned.reached.has(operation.server.key))
          this.#servers.markOurs(operation.server.key);
      });
      this.#recordDone(keys, planned.reached, pass.failed);
      return done;
    } catch (error) {
      this.#pending.putBack([keys], atMs);
      throw error;
    }
  }

  #recordFailure(one: FailedObject, failed: KeySet): void {
    const { name, contradicted } = one;
    this.#retries.add(one, this.#clock.now());
    failed.add(name);
    if (!contradicted) return;
    if (name.kind === "server") this.#reader.invalidate(name.key);
    else this.#reader.invalidateAll();
  }

  #recordDone(keys: KeySet, reached: Planned["reached"], failed: KeySet): void {
    if (this.#retries.size > 0) for (const name of namesOf(keys)) if (!failed.has(name)) this.#retries.clear(name.key);
    this.#servers.reclassify(keys.servers, reached);
  }

  /** Counts the connections of real servers that just began to drain, or of all that drain, and deletes the drained ones. */
  async #drain(pass: SyncPass): Promise<void> {
    const nowMs = this.#clock.now();
    const { draining } = this.#servers;
    const fresh = draining.takeFresh();
    const all = nowMs >= this.#drainAtMs;
    const keys = all ? [...draining.servers()] : fresh;
    if (all) this.#drainAtMs = nowMs + this.#drainCheckMs;
    for (const slice of draining.slices(keys)) {
      const connections = await this.#request(() => this.#kernel.connections(slice));
      const due = new Map<VirtualServerKey, ReadonlySet<RealServerKey>>();
      for (const key of slice) {
        const counted = connections.get(key) ?? new Map();
        due.set(key, draining.due(key, counted, nowMs));
        if (!draining.isCounted(key, counted)) this.#reader.invalidate(key);
      }
      const view = this.#servers.viewOf(due);
      await this.#carryOut(this.#dueBatch(due, view, pass), view, pass);
    }
    if (all || fresh.length > 0) this.#oldestDrainMs = draining.oldestMs();
  }

  #dueBatch(due: DrainedServers, view: PlanView, pass: SyncPass): Batch {
    const keys = new KeySet();
    for (const [key, reals] of due) {
      if (reals.size === 0 || pass.failed.servers.has(key)) continue;
      keys.servers.add(key);
      const actual = this.#reader.actual.server(key);
      if (actual !== undefined && this.#desired.server(key) === undefined) keys.addresses.add(actual.server.address);
    }
    return { keys, planned: plan(keys, view), atMs: this.#clock.now() };
  }

  /**
   * Deletes stale flows. It is the last step, because a stale flow can begin until everything else is done. During a comparison
   * and while other work is left it waits, so that one list of flows serves all virtual servers.
   */
  async #forgetFlows(pass: SyncPass): Promise<void> {
    if (pass.cut || this.#pending.isComparing) return;
    const operations: ForgetFlows[] = [];
    for (const operation of this.#flows.plan(this.#desired, this.#reader.actual, this.#clock.now())) {
      operations.push(operation);
      if (operations.length % PART === 0) await this.#nextTurn();
    }
    if (operations.length === 0) return;
    const outcomes = await this.#request(() => this.#kernel.apply(operations));
    this.#flows.recordOutcomes(operations, outcomes, this.#clock.now());
    pass.operations.add(operations, outcomes);
  }
}
