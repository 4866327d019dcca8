import type { VirtualServerKey } from "../model/kernel/ipvs.ts";
import type { ServerState } from "../model/kernel/server-state.ts";
import type { Desired } from "./desired.ts";
import type { ActualStateReader } from "./resync/actual-state-reader.ts";

/** The virtual servers of one look. */
const PER_LOOK = 4;
const NONE: ReadonlySet<VirtualServerKey> = new Set();

/** The part of the reader that sentinels use. */
export type SentinelReader = Pick<ActualStateReader, "isKnown" | "invalidated" | "invalidate"> & {
  readonly actual: Pick<ActualStateReader["actual"], "server" | "servers">;
};

/** Virtual servers by whose absence a flush of IPVS is noticed; see `watchSentinels`. */
export class Sentinels {
  readonly #reader: SentinelReader;
  readonly #desired: Pick<Desired, "server" | "servers">;
  #left: Iterator<ServerState> | undefined;

  constructor(reader: SentinelReader, desired: Pick<Desired, "server" | "servers">) {
    this.#reader = reader;
    this.#desired = desired;
  }

  /**
   * Returns a few virtual servers of ours that should exist, all of them in turn; none while the kernel is unknown. Objects
   * of other programs are passed over, a bounded number of them.
   */
  take(): ReadonlySet<VirtualServerKey> {
    if (!this.#reader.isKnown) return NONE;
    const keys = new Set<VirtualServerKey>();
    for (let steps = 0; keys.size < PER_LOOK && steps < PER_LOOK * 10; steps++) {
      this.#left ??= this.#reader.actual.servers()[Symbol.iterator]();
      const { done, value } = this.#left.next();
      if (done === true) this.#left = undefined;
      else if (this.#desired.server(value.server.key) !== undefined) {
        if (keys.has(value.server.key)) break;
        keys.add(value.server.key);
      }
    }
    return keys;
  }

  /**
   * Processes sentinels that do not exist. Those that should are read again by name in the next sync, which repairs them
   * without the resync that would first prepare the node. If all sentinels of a look are missing, that sync reads all virtual
   * servers of ours.
   */
  lose(missing: readonly VirtualServerKey[], areAll: boolean): void {
    const { actual, invalidated } = this.#reader;
    const isExpected = (key: VirtualServerKey) => actual.server(key) !== undefined && !invalidated.has(key);
    const lost = missing.filter(isExpected);
    if (!this.#reader.isKnown || lost.length === 0) return;
    const suspects = areAll ? Array.from(this.#desired.servers(), ({ server }) => server.key).filter(isExpected) : lost;
    for (const key of suspects) this.#reader.invalidate(key);
  }
}
