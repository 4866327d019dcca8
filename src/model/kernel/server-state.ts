import type { VirtualServer } from "./ipvs.ts";
import type { RealServers } from "./real-servers.ts";

/** A virtual server and its real servers, wanted or seen. */
export interface ServerState {
  readonly server: VirtualServer;
  readonly reals: RealServers;
}
