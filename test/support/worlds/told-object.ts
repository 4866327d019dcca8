import type { ClusterEvent } from "../../../src/services/cluster-event.ts";
import { decodeNode } from "../../../src/sources/decode/decode-node.ts";
import { decodeService } from "../../../src/sources/decode/decode-service.ts";
import { decodeServiceCIDR } from "../../../src/sources/decode/decode-service-cidr.ts";
import { decodeEndpointSlice } from "../../../src/sources/decode/decode-slice.ts";
import type { HostileKind } from "../hostile/hostile-objects.ts";

/** An object as the agent is told of it: its name, the event that it is there, and the event that it is gone. */
export interface ToldObject {
  readonly name: string;
  readonly event: ClusterEvent;
  readonly end: ClusterEvent;
}

/** Decodes an object; undefined if a proxy does not use it. */
export function toldObject(kind: HostileKind, object: object): ToldObject | undefined {
  switch (kind) {
    case "Service": {
      const decoded = decodeService(object);
      if (decoded.kind !== "accepted") return undefined;
      const { name, value: service } = decoded;
      return { name, event: { kind: "service-upserted", service }, end: { kind: "service-deleted", name } };
    }
    case "EndpointSlice": {
      const decoded = decodeEndpointSlice(object);
      if (decoded.kind !== "accepted") return undefined;
      const { name, value: slice } = decoded;
      return { name, event: { kind: "slice-upserted", slice }, end: { kind: "slice-deleted", name } };
    }
    case "Node": {
      const decoded = decodeNode(object);
      if (decoded.kind !== "accepted") return undefined;
      const { name, value: node } = decoded;
      return { name, event: { kind: "node-upserted", node }, end: { kind: "node-deleted", name } };
    }
    case "ServiceCIDR": {
      const decoded = decodeServiceCIDR(object);
      if (decoded.kind !== "accepted") return undefined;
      const { name, value: cidr } = decoded;
      return { name, event: { kind: "servicecidr-upserted", cidr }, end: { kind: "servicecidr-deleted", name } };
    }
  }
}
