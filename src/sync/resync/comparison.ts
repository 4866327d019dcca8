import { type Keys, NO_KEYS } from "../../model/kernel/keys.ts";
import type { Desired } from "../desired.ts";
import type { ActualState } from "./actual-state.ts";

/** So many objects of ten parts each are compared in well under a millisecond. */
export const SLICE = 256;

/** All items, SLICE of them at a time, with a turn of the event loop after each. */
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

/** Objects that were compared at, and of these the names of those that may differ. */
export interface Compared {
  readonly keys: Keys;
  readonly compared: number;
}

/**
 * Names, once, everything in which desired and held may differ: what each Service wants, whole and in the order of the
 * Services, then what is held and nobody wants. It is read bit by bit over many flushes while both sides change;
 * changes of what is desired are marked besides, so it does not matter whether they are seen here.
 */
export class Comparison {
  readonly #steps: Generator<Compared>;
  #left: number;

  constructor(desired: Desired, actual: ActualState) {
    this.#steps = steps(desired, actual);
    this.#left = sum(desired.counts()) + sum(actual.counts());
  }

  /** About how many objects are left to look at; at least 1 until `next` has said that there are no more. */
  get left(): number {
    return Math.max(1, this.#left);
  }

  /** Undefined: all was compared at. */
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

/** Slice by slice, how many there were and which of them are unwanted. */
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
