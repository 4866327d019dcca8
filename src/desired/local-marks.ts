import type { PortKey, ServiceName } from "../model/cluster/service.ts";
import { type Claimant, claimantOf, isBefore, WaitingClaimants } from "./mark-claimants.ts";

const NOBODY: readonly Claimant[] = [];
const NO_MARKS: ReadonlyMap<PortKey, number> = new Map();
const UNCHANGED: ReadonlySet<ServiceName> = new Set();

/**
 * Allocates marks of local traffic, as indexes from 0, to the ports of Services. Ports are ordered: the first port of
 * every Service comes before the second port of any Service, and ports of equal rank are sorted by name. A Service with
 * many ports therefore cannot take the marks of all other Services. Each port probes the places from the one to which
 * its name hashes, and takes the first place that no earlier port has. The marks thus depend only on the Services, and
 * not on the order of events or on restarts. A new port changes the mark of a later port only if that port has a place
 * which the new port probes. If all places are taken, the last ports get no mark. (An ordered hash table, Amble and
 * Knuth 1974.)
 *
 * Adding or removing a port costs at most two passes over the places, however many ports wait for a mark.
 */
export class LocalMarks {
  readonly #places: (Claimant | undefined)[];
  readonly #placeOf = new Map<Claimant, number>();
  readonly #waiting = new WaitingClaimants();
  readonly #claimants = new Map<ServiceName, readonly Claimant[]>();

  /** `count` is the number of marks, at least 1. */
  constructor(count: number) {
    this.#places = new Array<Claimant | undefined>(count).fill(undefined);
  }

  /** The marks of the Service's ports. A port is missing if it needs no mark or if no mark is free. */
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

  /**
   * The first port of the Service, in its order, that needs a mark and has none. The ports after it have none either.
   */
  firstWithout(service: ServiceName): PortKey | undefined {
    return this.#claimants.get(service)?.find((claimant) => !this.#placeOf.has(claimant))?.port;
  }

  /**
   * Replaces the ports of the Service that need marks, in this order. Returns the other Services whose marks may have
   * changed.
   */
  replace(service: ServiceName, ports: readonly PortKey[]): ReadonlySet<ServiceName> {
    const before = this.#claimants.get(service) ?? NOBODY;
    if (before.length === 0 && ports.length === 0) return UNCHANGED;
    const after = ports.map((port, rank) => {
      const same = before[rank];
      return same?.port === port ? same : claimantOf(service, port, rank, this.#places.length);
    });
    const changed = new Set<ServiceName>();
    // The last port first: a waiting port must be removed before an earlier port of its Service frees a place for it.
    for (const claimant of before.toReversed()) if (after[claimant.rank] !== claimant) this.#remove(claimant, changed);
    for (const claimant of after) if (before[claimant.rank] !== claimant) this.#add(claimant, changed);
    if (after.length > 0) this.#claimants.set(service, after);
    else this.#claimants.delete(service);
    changed.delete(service);
    return changed;
  }

  #add(newcomer: Claimant, changed: Set<ServiceName>): void {
    const first = this.#waiting.first();
    // Waiting ports come after all ports that have places.
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

  /**
   * Fills the gap with the next port that would have taken the place if it had been free, and then the gap of that
   * port.
   */
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
