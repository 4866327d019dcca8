import type { VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { countOf, KeySet, type Keys, namesOf, type ObjectName } from "../../model/kernel/keys.ts";
import { rankOf } from "../../model/kernel/operation.ts";
import type { Desired } from "../desired.ts";
import type { ActualState } from "../resync/actual-state.ts";

/** The limit of the work in one plan. A unit is one key, or one real server of a virtual server. */
export const PART = 4_000;

/** The states on which the weight and the order of keys depend. */
export interface PartsView {
  readonly desired: Desired;
  readonly actual: ActualState;
}

/** Returns the units of work to plan the keys. It stops counting a little above PART. */
export function weightOf(keys: Keys, view: PartsView): number {
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
export function* partsOf(keys: Keys, view: PartsView): Generator<KeySet> {
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

function weightOfName(name: ObjectName, view: PartsView): number {
  return name.kind === "server" ? 1 + realsOf(name.key, view) : 1;
}

function realsOf(key: VirtualServerKey, { desired, actual }: PartsView): number {
  return Math.max(desired.server(key)?.reals.size ?? 0, actual.server(key)?.reals.size ?? 0);
}

/** The rank of the first operation that the object may need. */
function rankOfName(name: ObjectName, { desired, actual }: PartsView): number {
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
