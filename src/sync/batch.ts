import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import { countOf, type KeyLists, KeySet, type Keys, NO_KEYS, namesOf, type ObjectName } from "../model/kernel/keys.ts";
import { rankOf } from "../model/kernel/operation.ts";
import type { Desired } from "./desired.ts";
import type { PendingWork } from "./pending-work.ts";
import { addWaiting, nothingPlanned, PART, type PlanView, plan } from "./plan/plan.ts";
import type { ServerTracker } from "./plan/server-tracker.ts";
import type { StaleFlows } from "./plan/stale-flows.ts";
import type { RetryQueue } from "./retry/retry-queue.ts";
import type { Batch } from "./sync-pass.ts";

/** A batch takes whole change sets until it has this many operations, some 40 ms of work. */
const OPERATION_LIMIT = 2_000;
/**
 * It also ends after this many compared objects, or after PART units of work, because planning must not block the event loop
 * for 10 ms. Only a change set that is larger than PART is taken in parts.
 */
const COMPARE_LIMIT = 1_000;
/** The maximum number of operations for retries, in addition, so that retries never delay new work. */
const RETRY_LIMIT = 100;

/** The sources of the work of a batch, and the trackers that are updated before it is planned. */
export interface BatchSource {
  readonly desired: Desired;
  readonly pending: PendingWork;
  readonly retries: RetryQueue;
  readonly servers: ServerTracker;
  readonly flows: StaleFlows;
}

/** Plans whole change sets up to the limits. Synchronous, so that the plan is for the desired state of one moment. */
export function takeBatch(source: BatchSource, nowMs: number): Batch {
  const batch = new GrowingBatch(source, nowMs);
  batch.addPending();
  batch.addRetries(nowMs);
  return batch;
}

/** Returns the keys if they fit into one plan; otherwise returns the first part, and puts the rest back to be taken next. */
export function firstPart(keys: Keys, atMs: number, pending: PendingWork, view: PlanView): Keys {
  if (weightOf(keys, view) <= PART) return keys;
  const [first = NO_KEYS, ...rest] = partsOf(keys, view);
  pending.putBack(rest, atMs);
  return first;
}

/** A batch while work is added to it. */
class GrowingBatch implements Batch {
  readonly keys = new KeySet();
  readonly planned = nothingPlanned();
  readonly atMs: number;
  readonly #source: BatchSource;

  constructor(source: BatchSource, nowMs: number) {
    this.#source = source;
    this.atMs = source.pending.firstMarkedMs ?? nowMs;
  }

  /** Adds pending work up to the limits. */
  addPending(): void {
    const { flows, pending, servers } = this.#source;
    const { operations } = this.planned;
    for (let compared = 0, work = 0; operations.length < OPERATION_LIMIT && compared < COMPARE_LIMIT && work < PART; ) {
      const next = pending.next();
      if (next === undefined) {
        flows.markKnown();
        return;
      }
      const part = firstPart(next.keys, this.atMs, pending, servers.view);
      this.#add(part);
      compared += "compared" in next ? next.compared : 1;
      work += weightOf(part, servers.view);
    }
  }

  /** Adds failed objects whose retry is due. */
  addRetries(nowMs: number): void {
    const limit = this.planned.operations.length + RETRY_LIMIT;
    for (const name of this.#source.retries.due(nowMs)) {
      if (this.planned.operations.length >= limit) return;
      const retry = new KeySet();
      retry.add(name);
      this.#add(retry);
    }
  }

  /** Plans the keys, and the unwanted objects that wait for them. */
  #add(keys: Keys): void {
    const { pending, servers } = this.#source;
    const waiting = new KeySet();
    addWaiting(this.#plan(keys), servers.view, waiting);
    if (waiting.size > 0) this.#plan(firstPart(waiting, this.atMs, pending, servers.view));
  }

  /** Plans the keys that the batch does not contain yet, and returns them. */
  #plan(keys: Keys): KeyLists {
    const { desired, flows, servers } = this.#source;
    const fresh = this.keys.take(keys);
    // Ownership must be decided before any of the evidence is deleted.
    for (const key of fresh.servers) servers.classifyActual(key);
    flows.compare(fresh.servers, desired);
    plan(fresh, servers.view, this.planned);
    return fresh;
  }
}

/** Returns the units of work to plan the keys. It stops counting a little above PART. */
function weightOf(keys: Keys, view: PlanView): number {
  let weight = countOf(keys);
  for (const key of keys.servers) {
    if (weight > PART) break;
    weight += realsOf(key, view);
  }
  return weight;
}

/**
 * The keys in parts of about PART units of work, to be planned and applied one after the other: a Service of 10,000 frontends
 * must not hold the event loop. They come in the order in which their operations are safe, so that a part adds and removes
 * nothing before what must come first is in an earlier part, or in the same.
 */
function* partsOf(keys: Keys, view: PlanView): Generator<KeySet> {
  const byRank: ObjectName[][] = [];
  for (const name of namesOf(keys)) {
    const rank = rankOfName(name, view);
    byRank[rank] ??= [];
    byRank[rank].push(name);
  }
  let part = new KeySet();
  let weight = 0;
  for (const name of Object.values(byRank).flat()) {
    part.add(name);
    weight += weightOfName(name, view);
    if (weight < PART) continue;
    yield part;
    part = new KeySet();
    weight = 0;
  }
  if (part.size > 0) yield part;
}

function weightOfName(name: ObjectName, view: PlanView): number {
  return name.kind === "server" ? 1 + realsOf(name.key, view) : 1;
}

function realsOf(key: VirtualServerKey, { desired, actual }: PlanView): number {
  return Math.max(desired.server(key)?.reals.size ?? 0, actual.server(key)?.reals.size ?? 0);
}

/** The rank of the first operation that the object may need. */
function rankOfName(name: ObjectName, { desired, actual }: PlanView): number {
  switch (name.kind) {
    case "server":
      return rankOf(desired.server(name.key) === undefined ? "delete-virtual-server" : "add-virtual-server");
    case "address":
      return rankOf(desired.hasAddress(name.key) ? "bind-address" : "unbind-address");
    case "entry": {
      const wanted = desired.entry(name.key);
      return rankOf(wanted === undefined ? "delete-entry" : "add-entry", wanted ?? actual.entry(name.key));
    }
  }
}
