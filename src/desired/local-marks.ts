import type { PortKey, ServiceName } from "../model/service.ts";

/** A port of a Service that wants a mark. */
interface Claimant {
  readonly service: ServiceName;
  readonly port: PortKey;
  readonly name: string;
  /** The first place that it looks at. */
  readonly home: number;
}

const NOBODY: readonly Claimant[] = [];
const UNCHANGED: ReadonlySet<ServiceName> = new Set();

/**
 * Which port of which Service has which mark of local traffic, as an index from 0. It follows from the names alone: a
 * port looks at places from the one its name hashes to, and takes the first that no port earlier by name has. So every
 * order of events and every restart ends in the same marks. Whoever comes may push a later one onward, and when all
 * places are taken the last by name go without. (An ordered hash table, Amble and Knuth 1974.)
 */
export class LocalMarks {
  readonly #places: (Claimant | undefined)[];
  readonly #placeOf = new Map<string, number>();
  readonly #without = new Map<string, Claimant>();
  readonly #claimants = new Map<ServiceName, readonly Claimant[]>();

  /** `count` marks in all, at least one. */
  constructor(count: number) {
    this.#places = new Array<Claimant | undefined>(count).fill(undefined);
  }

  /** The mark of the port; undefined when it wants none, or all are taken. */
  indexOf(service: ServiceName, port: PortKey): number | undefined {
    return this.#placeOf.get(nameOf(service, port));
  }

  /** The ports that want a mark and have none, sorted. */
  without(): readonly Pick<Claimant, "service" | "port">[] {
    return [...this.#without.values()].sort(byName);
  }

  /** From now on these ports of the Service want marks, and no others. Returns the other Services whose marks have changed. */
  replace(service: ServiceName, ports: readonly PortKey[]): ReadonlySet<ServiceName> {
    const before = this.#claimants.get(service) ?? NOBODY;
    if (before.length === 0 && ports.length === 0) return UNCHANGED;
    const after = ports.map((port) => before.find((one) => one.port === port) ?? this.#claimant(service, port));
    const changed = new Set<ServiceName>();
    for (const claimant of before) if (!after.includes(claimant)) this.#remove(claimant, changed);
    for (const claimant of after) if (!before.includes(claimant)) this.#add(claimant, changed);
    if (after.length > 0) this.#claimants.set(service, after);
    else this.#claimants.delete(service);
    changed.delete(service);
    return changed;
  }

  #claimant(service: ServiceName, port: PortKey): Claimant {
    const name = nameOf(service, port);
    return { service, port, name, home: hash(name) % this.#places.length };
  }

  #add(newcomer: Claimant, changed: Set<ServiceName>): void {
    let claimant = newcomer;
    let place = newcomer.home;
    do {
      const other = this.#places[place];
      if (other === undefined || claimant.name < other.name) this.#put(claimant, place, changed);
      if (other === undefined) return;
      if (claimant.name < other.name) claimant = other;
      place = this.#after(place);
    } while (place !== claimant.home);
    this.#placeOf.delete(claimant.name);
    this.#without.set(claimant.name, claimant);
    changed.add(claimant.service);
  }

  #remove(claimant: Claimant, changed: Set<ServiceName>): void {
    const place = this.#placeOf.get(claimant.name);
    this.#without.delete(claimant.name);
    if (place === undefined) return;
    this.#placeOf.delete(claimant.name);
    this.#closeGap(place, changed);
    const [next] = [...this.#without.values()].sort(byName);
    if (next === undefined) return;
    this.#without.delete(next.name);
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
    this.#placeOf.set(claimant.name, place);
    changed.add(claimant.service);
  }

  #after(place: number): number {
    return (place + 1) % this.#places.length;
  }

  #distance(from: number, to: number): number {
    return (to - from + this.#places.length) % this.#places.length;
  }
}

/** The space is in neither. */
function nameOf(service: ServiceName, port: PortKey): string {
  return `${service} ${port}`;
}

function byName(a: Claimant, b: Claimant): number {
  return a.name < b.name ? -1 : 1;
}

/** FNV-1a. */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (const char of text) sum = Math.imul(sum ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return sum >>> 0;
}
