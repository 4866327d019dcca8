import type { VirtualServerKey } from "../../../model/kernel/ipvs.ts";
import { KernelError } from "../../../model/kernel/kernel-error.ts";
import type { OwnedServer, TrafficCounts } from "../../../model/kernel/traffic.ts";
import type { Logger } from "../../../model/logger.ts";
import type { Clock } from "../../../model/time/clock.ts";
import { serversText, trafficText } from "./traffic-text.ts";
import { TrafficTotals } from "./traffic-totals.ts";

/** The shortest time between two readings, however often the metrics are requested. */
const REST_MS = 5_000;
/**
 * Virtual servers that are read with one send, within which the kernel does its work. Each is a request by name: a dump of all of
 * them takes turns of 60 ms with 10,000 (User Mode Linux guest).
 */
const SLICE = 100;

export interface ServiceTrafficOptions {
  /** The number of ports with totals of their own; infinite for all. */
  readonly limit: number;
  /** Whether the virtual servers of these ports are listed too. */
  readonly showsServers: boolean;
}

export interface ServiceTrafficDependencies {
  /** Returns the desired virtual servers, which may change while they are read; undefined before all of them are programmed. */
  readonly servers: () => Iterable<OwnedServer> | undefined;
  /** Returns the counters of those that exist. Rejects with a KernelError if the kernel does not answer. */
  readonly read: (keys: ReadonlySet<VirtualServerKey>) => Promise<ReadonlyMap<VirtualServerKey, TrafficCounts>>;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  /** Resolves after the event loop had a turn. */
  readonly nextTurn: () => Promise<void>;
  /** Called with the duration of each reading. */
  readonly onRead: (durationMs: number) => void;
}

/**
 * The traffic of Services as text for Prometheus. The kernel is read when the metrics are requested, because samples of any
 * other time make rates wrong, and in slices, because no sync may wait for it. A reading that fails changes nothing.
 */
export class ServiceTraffic {
  readonly #options: ServiceTrafficOptions;
  readonly #dependencies: ServiceTrafficDependencies;
  readonly #totals: TrafficTotals;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #isFailing = false;
  /** Requests are answered one after the other. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: ServiceTrafficOptions, dependencies: ServiceTrafficDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#totals = new TrafficTotals(options.limit);
  }

  /** Returns the metrics in the text format of Prometheus. */
  text(): Promise<string> {
    const result = this.#tail.then(() => this.#text());
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #text(): Promise<string> {
    const { servers, clock, nextTurn } = this.#dependencies;
    const desired = servers();
    if (desired !== undefined && clock.now() - this.#readAtMs >= REST_MS) await this.#tryRead(desired);
    const traffic = await trafficText(this.#totals, nextTurn);
    return this.#options.showsServers ? traffic + (await serversText(this.#totals, nextTurn)) : traffic;
  }

  async #tryRead(desired: Iterable<OwnedServer>): Promise<void> {
    const { clock, logger, onRead } = this.#dependencies;
    this.#readAtMs = clock.now();
    try {
      await this.#read(desired);
      onRead(clock.now() - this.#readAtMs);
      this.#isFailing = false;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (!this.#isFailing) logger.warn({ err: error }, "the traffic of Services cannot be read, and its metrics stay");
      this.#isFailing = true;
    }
  }

  async #read(desired: Iterable<OwnedServer>): Promise<void> {
    const { read, nextTurn } = this.#dependencies;
    for (const slice of slices(desired)) {
      const found = await read(new Set(slice.map(({ key }) => key)));
      for (const { key, port } of slice) this.#totals.add(key, port, found.get(key));
    }
    for (const slice of slices(this.#totals.left()))
      for (const [key, counts] of await read(new Set(slice))) this.#totals.addUndesired(key, counts);
    for (const _ of this.#totals.finish()) await nextTurn();
  }
}

function* slices<Item>(items: Iterable<Item>): Generator<readonly Item[]> {
  let slice: Item[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}
