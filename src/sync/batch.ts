import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import { type KeyLists, KeySet, type Keys, NO_KEYS } from "../model/kernel/keys.ts";
import type { ChangeQueue } from "./change-queue.ts";
import type { Batch } from "./flush.ts";
import { PART, partsOf, weightOf } from "./plan/parts.ts";
import { addWaiting, nothingPlanned, type PlanView, plan } from "./plan/plan.ts";
import type { Compared } from "./resync/comparison.ts";
import type { Refusals } from "./retry/refusals.ts";

/** A flush takes whole change sets until it has so many operations, some 40 ms of work; then others have their turn. */
const OPERATION_LIMIT = 2_000;
/**
 * Or has looked at so many objects, or done PART units of work, however little they differed: planning must not hold the
 * event loop for 10 ms. Only a change set that is more than PART by itself is taken in parts.
 */
const LOOK_LIMIT = 1_000;
/** Retries of refused objects come besides, at most so many, so that they never hold up new work. */
const RETRY_LIMIT = 100;

/** Where the work of a batch comes from. */
export interface BatchSource {
  readonly queue: ChangeQueue;
  /** The next keys of a comparison of everything; undefined: all were compared. */
  readonly nextCompared: () => Compared | undefined;
  readonly refusals: Refusals;
  readonly view: PlanView;
  /** Called with the virtual servers of each part before it is planned. */
  readonly onServers: (keys: readonly VirtualServerKey[]) => void;
}

/** Plans whole change sets up to the limits. Synchronous: what is planned is what is desired at one moment. */
export function takeBatch({ queue, nextCompared, refusals, view, onServers }: BatchSource, nowMs: number): Batch {
  const batch = { keys: new KeySet(), planned: nothingPlanned(), atMs: queue.oldestMs ?? nowMs };
  const { operations } = batch.planned;
  const takeOnly = (more: Keys): KeyLists => {
    const fresh = batch.keys.take(more);
    onServers(fresh.servers);
    plan(fresh, view, batch.planned);
    return fresh;
  };
  const take = (more: Keys): void => {
    const waiting = new KeySet();
    addWaiting(takeOnly(more), view, waiting);
    if (waiting.size > 0) takeOnly(firstPart(waiting, batch.atMs, queue, view));
  };
  for (let looked = 0, work = 0; operations.length < OPERATION_LIMIT && looked < LOOK_LIMIT && work < PART; ) {
    const change = queue.shift() ?? nextCompared();
    if (change === undefined) break;
    const part = firstPart(change.keys, batch.atMs, queue, view);
    take(part);
    looked += "looked" in change ? change.looked : 1;
    work += weightOf(part, view);
  }
  const limit = operations.length + RETRY_LIMIT;
  for (const name of refusals.due(nowMs)) {
    if (operations.length >= limit) break;
    const retry = new KeySet();
    retry.add(name);
    take(retry);
  }
  return batch;
}

/** The keys, if they are not too many to be planned together; else the first of them, and the rest is put back to be taken next. */
export function firstPart(keys: Keys, atMs: number, queue: ChangeQueue, view: PlanView): Keys {
  if (weightOf(keys, view) <= PART) return keys;
  const [first = NO_KEYS, ...rest] = partsOf(keys, view);
  queue.putBack(rest, atMs);
  return first;
}
