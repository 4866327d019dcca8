import type { ServicePortName } from "../../../model/cluster/service.ts";
import type { VirtualServerKey } from "../../../model/kernel/ipvs.ts";
import { NO_TRAFFIC, TRAFFIC_FIELDS, type TrafficCounts } from "../../../model/kernel/traffic.ts";

/** The traffic of one port of a Service, or of all that have no total of their own. */
export interface TrafficTotal {
  readonly owner: ServicePortName;
  readonly counts: TrafficCounts;
}

/** The owner of the traffic of all ports that have no total of their own. No namespace has an empty name. */
export const OTHER: ServicePortName = { namespace: "", service: "other", port: "" };

/** The readings for which a port without virtual servers keeps its total. */
const KEPT_READINGS = 10;
/** The part of a score that the next reading keeps: the traffic of the last ten readings or so decides. */
const DECAY = 0.9;
/** A port that has a total of its own loses it only to one that is so much busier, or totals would come and go. */
const STICKINESS = 1.5;

type Counts = Record<keyof TrafficCounts, number>;

interface Port {
  readonly owner: ServicePortName;
  readonly total: Counts;
  /** The traffic of this reading, which is not in a total yet. */
  readonly fresh: Counts;
  score: number;
  isNamed: boolean;
  /** The number of virtual servers. */
  servers: number;
  absent: number;
}

interface Server {
  readonly port: Port;
  counts: TrafficCounts;
  reading: number;
}

/**
 * Sums up the counters of virtual servers by port of a Service. A total never decreases, although the kernel's counters do: a
 * virtual server that is deleted and added again, or whose counters are set to zero, begins again at 0. What virtual servers
 * have counted before the first reading is not in the totals: Prometheus takes the start of the process for a start at 0. With a limit, the
 * busiest ports have totals, and the traffic of all others is added to one total, `OTHER`. Traffic is added to the total that its
 * port has at that reading, and stays there.
 *
 * A reading is `add` for each desired virtual server, `addUndesired` for each of `left` that exists, and then `finish`.
 */
export class TrafficTotals {
  readonly #limit: number;
  readonly #ports = new Map<string, Port>();
  readonly #servers = new Map<VirtualServerKey, Server>();
  readonly #other: Counts = { ...NO_TRAFFIC };
  #reading = 1;

  /** `limit`: the number of ports with a total of their own; infinite for all. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds a virtual server that is desired, with its owner, and with no traffic if it does not exist. */
  add(key: VirtualServerKey, owner: ServicePortName, counts: TrafficCounts = NO_TRAFFIC): void {
    const before = this.#servers.get(key);
    const port = this.#portOf(owner);
    // The busiest ports are known from the first reading on.
    if (this.#reading === 1) port.score += weightOf(counts);
    else addIncrease(port.fresh, before?.counts, counts);
    if (before !== undefined) before.port.servers--;
    this.#servers.set(key, { port, counts, reading: this.#reading });
    port.servers++;
  }

  /** The virtual servers that had owners, and are not in this reading: they may drain, or be deleted. */
  *left(): Generator<VirtualServerKey> {
    for (const [key, { reading }] of this.#servers) if (reading !== this.#reading) yield key;
  }

  /** Adds one of `left`. Its traffic is that of its last owner. */
  addUndesired(key: VirtualServerKey, counts: TrafficCounts): void {
    const server = this.#servers.get(key);
    if (server === undefined) return;
    addIncrease(server.port.fresh, server.counts, counts);
    server.counts = counts;
    server.reading = this.#reading;
  }

  /**
   * Ends the reading when it is read to its end, and forgets the virtual servers that are still left. Each step takes a few
   * milliseconds with 50,000 ports.
   */
  *finish(): Generator<"step"> {
    for (const [key, server] of this.#servers) {
      if (server.reading === this.#reading) continue;
      this.#servers.delete(key);
      server.port.servers--;
    }
    yield "step";
    for (const port of this.#ports.values()) port.score = port.score * DECAY + weightOf(port.fresh);
    yield "step";
    yield* this.#choose();
    for (const [name, port] of this.#ports) {
      addAll(port.isNamed ? port.total : this.#other, port.fresh);
      Object.assign(port.fresh, NO_TRAFFIC);
      port.absent = port.servers === 0 ? port.absent + 1 : 0;
      if (port.absent > KEPT_READINGS) this.#ports.delete(name);
    }
    this.#reading++;
  }

  /** The totals, after a reading: at most as many as the limit, and `OTHER` if there is a limit. */
  *totals(): Generator<TrafficTotal> {
    for (const { owner, total, isNamed } of this.#ports.values()) if (isNamed) yield { owner, counts: total };
    if (Number.isFinite(this.#limit)) yield { owner: OTHER, counts: this.#other };
  }

  /** The virtual servers whose ports have totals of their own. */
  *servers(): Generator<readonly [VirtualServerKey, ServicePortName]> {
    for (const [key, { port }] of this.#servers) if (port.isNamed) yield [key, port.owner];
  }

  /** Decides which ports have totals of their own. */
  *#choose(): Generator<"step"> {
    const ports = [...this.#ports.values()];
    const standing = (port: Port) => port.score * (port.isNamed ? STICKINESS : 1);
    const lowest = ports.length <= this.#limit ? 0 : (Float64Array.from(ports, standing).sort().at(-this.#limit) ?? 0);
    let left = this.#limit;
    const chosen = new Set<Port>();
    // Those above the lowest standing fit; of those that have it, the ones that had totals come first.
    const rounds: readonly ((port: Port) => boolean)[] = [
      (port) => standing(port) > lowest,
      (port) => standing(port) === lowest && port.isNamed,
      (port) => standing(port) === lowest,
    ];
    for (const belongs of rounds) {
      yield "step";
      for (const port of ports) {
        if (left === 0) break;
        if (chosen.has(port) || !belongs(port)) continue;
        chosen.add(port);
        left--;
      }
    }
    yield "step";
    for (const port of ports) port.isNamed = chosen.has(port);
  }

  #portOf(owner: ServicePortName): Port {
    const name = `${owner.namespace}/${owner.service}:${owner.port}`;
    const known = this.#ports.get(name);
    if (known !== undefined) return known;
    const port: Port = {
      owner,
      total: { ...NO_TRAFFIC },
      fresh: { ...NO_TRAFFIC },
      score: 0,
      isNamed: false,
      servers: 0,
      absent: 0,
    };
    this.#ports.set(name, port);
    return port;
  }
}

/** Adds what was counted since the last reading. If any counter is lower, all of them have begun again at 0. */
function addIncrease(sum: Counts, before: TrafficCounts | undefined, now: TrafficCounts): void {
  const isReset = before === undefined || TRAFFIC_FIELDS.some((field) => now[field] < before[field]);
  for (const field of TRAFFIC_FIELDS) sum[field] += now[field] - (isReset ? 0 : before[field]);
}

/** By which the busiest ports are found: bytes, and connections so that one without bytes counts. */
function weightOf({ bytesIn, bytesOut, connections }: TrafficCounts): number {
  return bytesIn + bytesOut + connections;
}

function addAll(sum: Counts, counts: TrafficCounts): void {
  for (const field of TRAFFIC_FIELDS) sum[field] += counts[field];
}
