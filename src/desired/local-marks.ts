import type { PortKey, ServiceName } from "../model/cluster/service.ts";
import { type Claimant, claimantOf, isBefore, WaitingClaimants } from "./mark-claimants.ts";

const NOBODY: readonly Claimant[] = [];
const NO_MARKS: ReadonlyMap<PortKey, number> = new Map();
const UNCHANGED: ReadonlySet<ServiceName> = new Set();

/**
 * Which port of which Service has which mark of local traffic, as an index from 0. Ports have an order: the first port of
 * every Service comes before the second of any, and by name among equals, so that one Service of many ports cannot take the
 * marks of all others. Each port looks at places from the one its name hashes to, and takes the first that no earlier port
 * has. So the marks follow from the Services alone, in every order of events and after every restart. A new port changes
 * the mark of a later port only where that port holds a place which the new one looks at; when all places are taken, the
 * latest ports go without. (An ordered hash table, Amble and Knuth 1974.)
 *
 * A port that comes or goes costs at most two walks around the places, however many ports wait for a mark.
 */
export class LocalMarks {
  readonly #places: (Claimant | undefined)[];
  readonly #placeOf = new Map<Claimant, number>();
  readonly #waiting = new WaitingClaimants();
  readonly #claimants = new Map<ServiceName, readonly Claimant[]>();

  /** `count` marks in all, at least one. */
  constructor(count: number) {
    this.#places = new Array<Claimant | undefined>(count).fill(undefined);
  }

  /** The marks of the Service's ports; a port is missing when it wants none, or all are taken. */
  marksOf(service: ServiceName): ReadonlyMap<PortKey, number> {
    const claimants = this.#claimants.get(service);
    if (claimants === undefined) return NO_MARKS;
    const marks = new Map<PortKey, number>();
    for (const claimant of claimants) {
      const place = this.#placeOf.get(claimant);
      if (place !== undefined) marks.set(claimant.port, place);
    }
    return marks;
  }

  /** The first port of the Service, in its order, that wants a mark and has none; then no port after it has one. */
  firstWithout(service: ServiceName): PortKey | undefined {
    return this.#claimants.get(service)?.find((claimant) => !this.#placeOf.has(claimant))?.port;
  }

  /**
   * From now on these ports of the Service want marks, in this order, and no others. Returns the other Services of which
   * marks may have changed.
   */
  replace(service: ServiceName, ports: readonly PortKey[]): ReadonlySet<ServiceName> {
    const before = this.#claimants.get(service) ?? NOBODY;
    if (before.length === 0 && ports.length === 0) return UNCHANGED;
    const after = ports.map((port, rank) => {
      const same = before[rank];
      return same?.port === port ? same : claimantOf(service, port, rank, this.#places.length);
    });
    const changed = new Set<ServiceName>();
    // The latest first: a port that waits goes before its Service's earlier ports free places for it.
    for (const claimant of before.toReversed()) if (after[claimant.rank] !== claimant) this.#remove(claimant, changed);
    for (const claimant of after) if (before[claimant.rank] !== claimant) this.#add(claimant, changed);
    if (after.length > 0) this.#claimants.set(service, after);
    else this.#claimants.delete(service);
    changed.delete(service);
    return changed;
  }

  #add(newcomer: Claimant, changed: Set<ServiceName>): void {
    const first = this.#waiting.first();
    // Whoever waits comes after all that have places.
    let claimant = first !== undefined && isBefore(first, newcomer) ? this.#wait(newcomer, changed) : newcomer;
    for (let place = newcomer.home, left = this.#places.length; claimant !== undefined && left > 0; left--) {
      const other = this.#places[place];
      if (other === undefined || isBefore(claimant, other)) {
        this.#put(claimant, place, changed);
        claimant = other;
      }
      place = this.#after(place);
    }
    if (claimant !== undefined) this.#wait(claimant, changed);
  }

  #wait(claimant: Claimant, changed: Set<ServiceName>): undefined {
    this.#placeOf.delete(claimant);
    this.#waiting.add(claimant);
    changed.add(claimant.service);
  }

  #remove(claimant: Claimant, changed: Set<ServiceName>): void {
    const place = this.#placeOf.get(claimant);
    if (place === undefined) {
      this.#waiting.delete(claimant);
      return;
    }
    this.#placeOf.delete(claimant);
    this.#closeGap(place, changed);
    const next = this.#waiting.first();
    if (next === undefined) return;
    this.#waiting.delete(next);
    this.#add(next, changed);
  }

  /** Whoever would have taken the place had it been free moves up, and so on for the place he leaves. */
  #closeGap(start: number, changed: Set<ServiceName>): void {
    let gap = start;
    this.#places[gap] = undefined;
    for (let place = this.#after(gap); place !== gap; place = this.#after(place)) {
      const claimant = this.#places[place];
      if (claimant === undefined) return;
      if (this.#distance(claimant.home, gap) > this.#distance(claimant.home, place)) continue;
      this.#put(claimant, gap, changed);
      this.#places[place] = undefined;
      gap = place;
    }
  }

  #put(claimant: Claimant, place: number, changed: Set<ServiceName>): void {
    this.#places[place] = claimant;
    this.#placeOf.set(claimant, place);
    changed.add(claimant.service);
  }

  #after(place: number): number {
    return (place + 1) % this.#places.length;
  }

  #distance(from: number, to: number): number {
    return (to - from + this.#places.length) % this.#places.length;
  }
}
