import { TextTable } from "../../src/model/text-table.ts";
import type { ClusterEvent } from "../../src/services/cluster-event.ts";
import { decodeService } from "../../src/sources/decode/decode-service.ts";
import { decodeEndpointSlice } from "../../src/sources/decode/decode-slice.ts";
import { PortLists } from "../../src/sources/decode/port-lists.ts";
import type { ClusterSize } from "../api/cluster-objects.ts";
import { ClusterState } from "../api/cluster-state.ts";

/** A cluster as a source reports it to the agent: objects that are decoded and in memory. */
export class Workload {
  readonly #state: ClusterState;
  /** As a source has them. */
  readonly #lists = new PortLists();
  readonly #texts = new TextTable();

  constructor(size: ClusterSize) {
    this.#state = new ClusterState(size, () => {});
  }

  /** The events of the start: all Services, then all slices. */
  all(): readonly ClusterEvent[] {
    const indexes = [...this.#state.services()];
    return [
      ...indexes.map((index) => this.#service(index)),
      { kind: "listed", resource: "services" },
      ...indexes.flatMap((index) => this.#slices(index)),
      { kind: "listed", resource: "endpointslices" },
    ];
  }

  /** The events of one endpoint that is replaced by another. */
  replacePod(index: number): readonly ClusterEvent[] {
    this.#state.replacePod(index);
    // Only the first slice has changed.
    return this.#slices(index).slice(0, 1);
  }

  #service(index: number): ClusterEvent {
    const decoded = decodeService(JSON.parse(this.#state.serviceJson(index)), this.#lists);
    if (decoded.kind !== "accepted") throw new Error(JSON.stringify(decoded));
    return { kind: "service-upserted", service: decoded.value };
  }

  #slices(index: number): readonly ClusterEvent[] {
    return Array.from(this.#state.slicesOf(index), (json): ClusterEvent => {
      const decoded = decodeEndpointSlice(JSON.parse(json), this.#texts);
      if (decoded.kind !== "accepted") throw new Error(JSON.stringify(decoded));
      return { kind: "slice-upserted", slice: decoded.value };
    });
  }
}
