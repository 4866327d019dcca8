import type { ServicePortName } from "../cluster/service.ts";
import type { RealServer, VirtualServer, VirtualServerKey } from "./ipvs.ts";

/** What IPVS counted for a virtual or real server since it was added: "in" is from clients to it, "out" is its answers. */
export interface TrafficCounts {
  readonly connections: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export const NO_TRAFFIC: TrafficCounts = { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };
// NO_TRAFFIC has exactly these keys.
export const TRAFFIC_FIELDS = Object.keys(NO_TRAFFIC) as readonly (keyof TrafficCounts)[];

/** The counters of a virtual server, which are those of all real servers that it has and had. */
export interface VirtualServerTraffic {
  readonly key: VirtualServerKey;
  readonly counts: TrafficCounts;
}

/** A virtual server with the port that owns it. */
export interface OwnedServer {
  readonly key: VirtualServerKey;
  readonly port: ServicePortName;
}

/** A real server with its live connections and its traffic. */
export interface RealTraffic extends TrafficCounts {
  readonly real: RealServer;
  readonly active: number;
  readonly inactive: number;
}

/** A virtual server of the kernel with the traffic of its real servers. */
export interface ServerTraffic {
  readonly server: VirtualServer;
  readonly reals: readonly RealTraffic[];
}
