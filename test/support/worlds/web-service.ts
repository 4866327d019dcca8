import { serviceName } from "../../../src/model/cluster/service.ts";
import type { RealServerKey, VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { SmallPort, SmallService } from "./naive-node.ts";

/** The Service of tests about one Service, and its ports. */
export const WEB = serviceName("a", "web");
export const tcp = (port: number, nodePort = 0): SmallPort => ({ protocol: "TCP", port, nodePort });
export const udp = (port: number): SmallPort => ({ protocol: "UDP", port, nodePort: 0 });

/** A Service at 10.96.0.1, with pods from 10.244.0.1. */
export function web(pods: readonly number[], ports: readonly SmallPort[] = [tcp(80)]): SmallService {
  return { ip: 0, ports, pods, affinity: false };
}

/** Its virtual server for port 80, and the real servers of two pods. */
export const VIP = "TCP/10.96.0.1:80" as VirtualServerKey;
export const POD1 = "10.244.0.1:8080" as RealServerKey;
export const POD2 = "10.244.0.2:8080" as RealServerKey;
