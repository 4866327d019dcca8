import { type Keys, NO_KEYS } from "../../model/kernel/keys.ts";
import type { Desired } from "../desired.ts";
import type { ActualState } from "./actual-state.ts";

/** The number of objects in a slice. To compare so many objects of ten parts each takes less than a millisecond. */
export const SLICE = 256;

/** Yields all items in slices of SLICE, with a turn of the event loop after each slice. */
export async function* inSlices<Item>(
  items: Iterable<Item>,
  nextTurn: () => Promise<void>,
): AsyncGenerator<readonly Item[]> {
  let slice: Item[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
    await nextTurn();
  }
  yield slice;
}

/** One step of a comparison. */
export interface Compared {
  /** The objects that may differ. */
  readonly keys: Keys;
  /** The number of objects that were compared. */
  readonly compared: number;
}

/**
 * Returns once the keys of all objects in which desired and actual state may differ: first all objects of each Service, in the
 * order of the Services, then the actual objects that are not desired. Many syncs read it step by step while both states
 * change. Changes of the desired state are also marked as pending work, so it does not matter whether a step includes them.
 */
export class Comparison {
  readonly #steps: Generator<Compared>;
  #left: number;

  constructor(desired: Desired, actual: ActualState) {
    this.#steps = steps(desired, actual);
    this.#left = sum(desired.counts()) + sum(actual.counts());
  }

  /** About the number of objects that are not compared yet; at least 1 until `next` has returned undefined. */
  get left(): number {
    return Math.max(1, this.#left);
  }

  /** Returns the next step; undefined after the last one. */
  next(): Compared | undefined {
    const { value, done } = this.#steps.next();
    if (done === true) return undefined;
    this.#left -= value.compared;
    return value;
  }
}

function sum({ virtualServers, addresses, entries }: ReturnType<Desired["counts"]>): number {
  return virtualServers + addresses + entries;
}

function* steps(desired: Desired, actual: ActualState): Generator<Compared> {
  for (const keys of desired.byService()) {
    const { servers, addresses, entries } = keys;
    yield { keys, compared: servers.length + addresses.length + entries.length };
  }
  for (const [compared, entries] of unwanted(actual.entries(), ({ key }) => desired.entry(key) === undefined))
    yield { keys: { ...NO_KEYS, entries: entries.map(({ key }) => key) }, compared };
  for (const [compared, servers] of unwanted(
    actual.servers(),
    ({ server }) => desired.server(server.key) === undefined,
  ))
    yield { keys: { ...NO_KEYS, servers: servers.map(({ server }) => server.key) }, compared };
  for (const [compared, addresses] of unwanted(actual.addresses(), (address) => !desired.hasAddress(address)))
    yield { keys: { ...NO_KEYS, addresses }, compared };
}

/** Yields, for each slice, the number of items and those that are unwanted. */
function* unwanted<Item>(
  items: Iterable<Item>,
  isUnwanted: (item: Item) => boolean,
): Generator<readonly [number, readonly Item[]]> {
  let compared = 0;
  let found: Item[] = [];
  for (const item of items) {
    compared++;
    if (isUnwanted(item)) found.push(item);
    if (compared < SLICE) continue;
    yield [compared, found];
    compared = 0;
    found = [];
  }
  yield [compared, found];
}
