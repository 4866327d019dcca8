import type { Clock } from "../model/time/clock.ts";
import type { ServiceTable } from "./service-table.ts";

/**
 * How long the first sync waits for the list of Nodes. Without the Node its zone is unknown: hints would be ignored, and
 * connections would go to endpoints in other zones. But a list that RBAC forbids must not cost the node its Services.
 */
const NODE_PATIENCE_MS = 10_000;

/** Decides when the first lists are complete: those of Services and EndpointSlices, and soon after them that of Nodes. */
export class FirstLists {
  readonly #table: Pick<ServiceTable, "listed" | "isListed">;
  readonly #clock: Pick<Clock, "now">;
  /** When the first lists of Services and EndpointSlices were complete. */
  #listedAtMs = Number.POSITIVE_INFINITY;

  constructor(table: Pick<ServiceTable, "listed" | "isListed">, clock: Pick<Clock, "now">) {
    this.#table = table;
    this.#clock = clock;
  }

  /** The table has processed an event. */
  onEvent(): void {
    if (this.#table.listed) this.#listedAtMs = Math.min(this.#listedAtMs, this.#clock.now());
  }

  /** Once true it stays true; until then it may become true with an event or with time. */
  get areComplete(): boolean {
    if (this.#table.isListed("nodes")) return this.#table.listed;
    return this.#clock.now() >= this.#listedAtMs + NODE_PATIENCE_MS;
  }
}
