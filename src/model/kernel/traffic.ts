import type { RealServer, VirtualServer } from "./ipvs.ts";

/** What IPVS counted for a real server since it was added: "in" is from clients to it, "out" is its answers. */
export interface TrafficCounts {
  readonly connections: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
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
