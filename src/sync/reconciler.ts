import type { Kernel } from "../kernel/kernel.ts";
import type { RealServerKey, VirtualServerKey } from "../model/kernel/ipvs.ts";
import { KeySet, type Keys, NO_KEYS, namesOf } from "../model/kernel/keys.ts";
import { type ForgetFlows, inSafeOrder, type Operation } from "../model/kernel/operation.ts";
import type { Clock } from "../model/time/clock.ts";
import { type BatchSource, firstPart, takeBatch } from "./batch.ts";
import { DriftCounts, Tally } from "./counts.ts";
import type { Desired } from "./desired.ts";
import type { Batch, Flush } from "./flush.ts";
import { PendingWork } from "./pending-work.ts";
import type { Due } from "./plan/drain.ts";
import { PART } from "./plan/parts.ts";
import { addWaiting, type Planned, type PlanView, plan, unlockedBy } from "./plan/plan.ts";
import { ServerTracker } from "./plan/server-tracker.ts";
import { StaleFlows } from "./plan/stale-flows.ts";
import type { ReconcilerDependencies, ReconcilerOptions, SyncStart } from "./reconciler-options.ts";
import { Belief, type BetweenSyncs } from "./resync/belief.ts";
import { FailureLog } from "./retry/failure-log.ts";
import { judge, type Refused } from "./retry/outcomes.ts";
import { Refusals } from "./retry/refusals.ts";
import type { LookReport, ReconcileState, SyncReport } from "./sync-report.ts";

/**
 * Makes the kernel hold what is desired: `resync` reads the kernel, `sync` writes what differs. Adopting at start, repairing
 * drift and recovering are the same act: a resync, then a sync. `SyncLoop` decides which of the two runs when; changes may be
 * marked at any moment.
 */
export class Reconciler {
  readonly #kernel: Kernel;
  readonly #desired: Desired;
  readonly #clock: Pick<Clock, "now">;
  readonly #nextTurn: () => Promise<void>;
  readonly #drainCheckMs: number;
  readonly #pending = new PendingWork();
  readonly #failures = new FailureLog();
  readonly #refusals = new Refusals(this.#failures);
  readonly #belief: Belief;
  readonly #servers: ServerTracker;
  readonly #flows = new StaleFlows(this.#failures);
  readonly #source: BatchSource;
  #drainAtMs = 0;

  constructor(options: ReconcilerOptions, dependencies: ReconcilerDependencies) {
    const { kernel, desired, clock, nextTurn } = dependencies;
    this.#kernel = kernel;
    this.#desired = desired;
    this.#clock = clock;
    this.#nextTurn = nextTurn;
    this.#drainCheckMs = options.drainCheckMs;
    this.#belief = new Belief(dependencies);
    this.#servers = new ServerTracker(options, { desired, actual: this.#belief.held, clock });
    this.#source = {
      desired,
      pending: this.#pending,
      refusals: this.#refusals,
      servers: this.#servers,
      flows: this.#flows,
    };
  }

  /**
   * The desired state of these objects has changed. Those of one call are programmed together, calls in their order. While
   * the kernel is unknown nothing is queued, which may last: all is compared after the resync that makes it known.
   */
  mark(keys: Keys, atMs: number): void {
    if (this.isKnown) this.#pending.mark(keys, atMs);
    else this.#pending.markUnqueued(keys, atMs);
  }

  /** Whether the state of the kernel is known, so that a sync needs no resync first. */
  get isKnown(): boolean {
    return this.#belief.isKnown;
  }

  /** When there is something to sync: in the past when now, Infinity when nothing waits. */
  workAtMs(): number {
    if (!this.isKnown || this.#belief.doubted.size > 0 || !this.#pending.isEmpty) return 0;
    const drainAtMs = this.#servers.draining.size > 0 ? this.#drainAtMs : Number.POSITIVE_INFINITY;
    return Math.min(drainAtMs, this.#flows.nextMs(), this.#refusals.nextMs());
  }

  state(): ReconcileState {
    const oldestMs = [this.#pending.oldestMs, this.#refusals.oldestMs()].filter((ms) => ms !== undefined);
    return {
      desired: this.#desired.counts(),
      held: this.#belief.held.countsWithout(this.#servers.foreign),
      foreignServers: this.#servers.foreign.size + this.#belief.unnamedServers,
      refusedKeys: this.#refusals.size,
      drainingRealServers: this.#servers.draining.size,
      oldestPendingMs: oldestMs.length === 0 ? 0 : Math.min(...oldestMs),
    };
  }

  /**
   * Makes the node ready, reads the whole kernel and counts the drift. What was read is taken over `betweenSyncs`, which may run
   * meanwhile; the next sync compares all. One resync at a time. Rejects as the kernel does.
   */
  async resync(betweenSyncs: BetweenSyncs, drift = new DriftCounts()): Promise<LookReport> {
    const startedAtMs = this.#clock.now();
    const first = this.#belief.isBlank;
    await this.#ask(() => this.#belief.read(betweenSyncs, drift, (key) => this.#pending.has(key)));
    await betweenSyncs(() => {
      this.#servers.reviseAll();
      this.#pending.requireComparison();
    });
    return { durationMs: this.#clock.now() - startedAtMs, first, drift: drift.list() };
  }

  /**
   * Does what is due of the marked, refused and draining work. The kernel must be known; one sync at a time. Rejects as the
   * kernel does: then the kernel is unknown, and nothing that was marked is lost.
   */
  async sync({ startedAtMs, drift }: SyncStart): Promise<SyncReport> {
    const flush = { tally: new Tally(), drift, refused: new KeySet(), cut: false };
    if (this.#pending.needsComparison)
      this.#pending.beginComparison(this.#desired, this.#belief.held, this.#clock.now());
    if (this.#belief.doubted.size > 0) await this.#observeDoubted(drift);
    const batch = takeBatch(this.#source, this.#clock.now());
    flush.cut = this.#pending.size > 0;
    await this.#carryOut(batch, this.#servers.view, flush);
    await this.#drain(flush);
    await this.#forgetFlows(flush);
    return {
      startedAtMs,
      durationMs: this.#clock.now() - startedAtMs,
      ...flush.tally.counts(),
      failures: this.#failures.report(this.#desired, this.#clock.now()),
      pending: this.#pending.size,
      cut: flush.cut,
      drift: drift.list(),
      state: this.state(),
    };
  }

  /** Asks the kernel; when it does not answer, nothing of it is known for certain any longer. */
  async #ask<Answer>(question: () => Promise<Answer>): Promise<Answer> {
    try {
      return await question();
    } catch (error) {
      this.#belief.lose();
      this.#flows.doubt();
      throw error;
    }
  }

  async #observeDoubted(drift: DriftCounts): Promise<void> {
    const servers = new Set(this.#belief.doubted);
    const waiting = new KeySet();
    addWaiting({ ...NO_KEYS, servers }, this.#servers.view, waiting);
    await this.#ask(() => this.#belief.observeDoubted(drift));
    for (const key of servers) this.#servers.classify(key);
    this.mark({ ...NO_KEYS, servers }, this.#clock.now());
    this.mark(waiting, this.#clock.now());
  }

  /** Applies a batch, then what it left unfinished and whatever may go because something of it went, until nothing more may. */
  async #carryOut(batch: Batch, view: PlanView, flush: Flush): Promise<void> {
    let round = batch;
    for (;;) {
      const done = await this.#apply(round, flush);
      const next = unlockedBy(done, view);
      for (const key of round.planned.unfinished) next.servers.add(key);
      if (next.size === 0) return;
      const unlocked = new KeySet();
      for (const name of namesOf(next)) if (!flush.refused.has(name)) unlocked.add(name);
      if (unlocked.size === 0) return;
      const keys = new KeySet();
      keys.take(firstPart(unlocked, batch.atMs, this.#pending, view));
      if (keys.size < unlocked.size) flush.cut = true;
      round = { keys, planned: plan(keys, view), atMs: batch.atMs };
    }
  }

  /** Returns what was done of the batch. When the transport is lost, all of it stays dirty. */
  async #apply({ keys, planned, atMs }: Batch, flush: Flush): Promise<readonly Operation[]> {
    const ordered = inSafeOrder(planned.operations);
    if (ordered.length === 0) {
      this.#belief.held.fold([], planned.reached);
      this.#settle(keys, planned.reached, flush.refused);
      await this.#nextTurn();
      return [];
    }
    this.#belief.touch(ordered);
    try {
      const outcomes = await this.#ask(() => this.#kernel.apply(ordered));
      const { done, refused } = judge(ordered, outcomes);
      for (const { name } of refused.values()) if (name.kind === "server") planned.reached.delete(name.key);
      this.#belief.held.fold(done, planned.reached);
      this.#flows.note(ordered, this.#belief.held, this.#desired);
      for (const one of refused.values()) this.#refuse(one, flush.refused);
      flush.tally.add(ordered, outcomes);
      // What we have written to is ours, though nobody may want it by now and the member that names it may be refused.
      done.forEach((operation) => {
        if ("server" in operation && !planned.reached.has(operation.server.key))
          this.#servers.claim(operation.server.key);
      });
      this.#settle(keys, planned.reached, flush.refused);
      return done;
    } catch (error) {
      this.#pending.putBack([keys], atMs);
      throw error;
    }
  }

  #refuse(one: Refused, refused: KeySet): void {
    const { name, contradicted } = one;
    this.#refusals.refuse(one, this.#clock.now());
    refused.add(name);
    if (!contradicted) return;
    if (name.kind === "server") this.#belief.doubt(name.key);
    else this.#belief.doubtAll();
  }

  #settle(keys: KeySet, reached: Planned["reached"], refused: KeySet): void {
    if (this.#refusals.size > 0)
      for (const name of namesOf(keys)) if (!refused.has(name)) this.#refusals.clear(name.key);
    this.#servers.settle(keys.servers, reached);
  }

  /** Counts the connections of those that have just begun to drain, or of all that drain, and lets go who is done. */
  async #drain(flush: Flush): Promise<void> {
    const nowMs = this.#clock.now();
    const { draining } = this.#servers;
    const fresh = draining.takeFresh();
    const all = nowMs >= this.#drainAtMs;
    const keys = all ? [...draining.servers()] : fresh;
    if (all) this.#drainAtMs = nowMs + this.#drainCheckMs;
    for (const slice of draining.slices(keys)) {
      const connections = await this.#ask(() => this.#kernel.connections(slice));
      const due = new Map<VirtualServerKey, ReadonlySet<RealServerKey>>();
      for (const key of slice) {
        const counted = connections.get(key) ?? new Map();
        due.set(key, draining.due(key, counted, nowMs));
        if (!draining.isCounted(key, counted)) this.#belief.doubt(key);
      }
      const view = this.#servers.viewOf(due);
      await this.#carryOut(this.#dueBatch(due, view, flush), view, flush);
    }
  }

  #dueBatch(due: Due, view: PlanView, flush: Flush): Batch {
    const keys = new KeySet();
    for (const [key, reals] of due) {
      if (reals.size === 0 || flush.refused.servers.has(key)) continue;
      keys.servers.add(key);
      const held = this.#belief.held.server(key);
      if (held !== undefined && this.#desired.server(key) === undefined) keys.addresses.add(held.server.address);
    }
    return { keys, planned: plan(keys, view), atMs: this.#clock.now() };
  }

  /** Last, as a flow may begin anew until all is right; not within a comparison, as one list of flows then does for all. */
  async #forgetFlows({ tally }: Flush): Promise<void> {
    if (this.#pending.isComparing) return;
    const operations: ForgetFlows[] = [];
    for (const operation of this.#flows.plan(this.#desired, this.#belief.held, this.#clock.now())) {
      operations.push(operation);
      if (operations.length % PART === 0) await this.#nextTurn();
    }
    if (operations.length === 0) return;
    const outcomes = await this.#ask(() => this.#kernel.apply(operations));
    this.#flows.settle(operations, outcomes, this.#clock.now());
    tally.add(operations, outcomes);
  }
}
