import type { VirtualServer } from "./ipvs.ts";
import type { RealServers } from "./real-servers.ts";

/** A virtual server with its real servers, as desired state or as actual state. */
export interface ServerState {
  readonly server: VirtualServer;
  readonly reals: RealServers;
}
