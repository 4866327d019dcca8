import { type Keys, NO_KEYS } from "../../model/kernel/keys.ts";
import type { Desired } from "../desired.ts";
import type { HeldState } from "./held-state.ts";

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

/** Objects that were looked at, and of these the names of those that may differ. */
export interface Compared {
  readonly keys: Keys;
  readonly looked: number;
}

/**
 * Names, once, everything in which desired and held may differ: what each Service wants, whole and in the order of the
 * Services, then what is held and nobody wants. It is read bit by bit over many flushes while both sides change;
 * changes of what is desired are marked besides, so it does not matter whether they are seen here.
 */
export class Comparison {
  readonly #steps: Generator<Compared>;
  #left: number;

  constructor(desired: Desired, held: HeldState) {
    this.#steps = steps(desired, held);
    this.#left = sum(desired.counts()) + sum(held.counts());
  }

  /** About how many objects are left to look at; at least 1 until `next` has said that there are no more. */
  get left(): number {
    return Math.max(1, this.#left);
  }

  /** Undefined: all was looked at. */
  next(): Compared | undefined {
    const { value, done } = this.#steps.next();
    if (done === true) return undefined;
    this.#left -= value.looked;
    return value;
  }
}

function sum({ virtualServers, addresses, entries }: ReturnType<Desired["counts"]>): number {
  return virtualServers + addresses + entries;
}

function* steps(desired: Desired, held: HeldState): Generator<Compared> {
  for (const keys of desired.byService()) {
    const { servers, addresses, entries } = keys;
    yield { keys, looked: servers.length + addresses.length + entries.length };
  }
  for (const [looked, entries] of unwanted(held.entries(), ({ key }) => desired.entry(key) === undefined))
    yield { keys: { ...NO_KEYS, entries: entries.map(({ key }) => key) }, looked };
  for (const [looked, servers] of unwanted(held.servers(), ({ server }) => desired.server(server.key) === undefined))
    yield { keys: { ...NO_KEYS, servers: servers.map(({ server }) => server.key) }, looked };
  for (const [looked, addresses] of unwanted(held.addresses(), (address) => !desired.hasAddress(address)))
    yield { keys: { ...NO_KEYS, addresses }, looked };
}

/** Slice by slice, how many there were and which of them are unwanted. */
function* unwanted<Item>(
  items: Iterable<Item>,
  isUnwanted: (item: Item) => boolean,
): Generator<readonly [number, readonly Item[]]> {
  let looked = 0;
  let found: Item[] = [];
  for (const item of items) {
    looked++;
    if (isUnwanted(item)) found.push(item);
    if (looked < SLICE) continue;
    yield [looked, found];
    looked = 0;
    found = [];
  }
  yield [looked, found];
}
