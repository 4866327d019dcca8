import type { SourcePorts } from "../kernel/kernel.ts";
import { portRangesText, rangeContains } from "../model/port-range.ts";

/**
 * Returns a problem, with its solution, if Linux may choose a NodePort as source port of a connection of this node;
 * otherwise none. Replies to such a connection match a virtual server: IPVS takes them, and the process gets no reply.
 */
export function describeSourcePorts({ chosen, reserved }: SourcePorts, nodePorts: Iterable<number>): readonly string[] {
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  for (const port of nodePorts) {
    if (!chosen.some((range) => rangeContains(range, port))) continue;
    if (reserved.some((range) => rangeContains(range, port))) continue;
    first = Math.min(first, port);
    last = Math.max(last, port);
  }
  if (last === 0) return [];
  const wanted = portRangesText([...reserved, { first, last }]);
  return [
    `net/ipv4/ip_local_port_range is ${portRangesText(chosen)} and includes NodePort ${first}: IPVS takes the replies to ` +
      `connections of this node from that port. Reserve NodePorts on the host: sysctl -w net.ipv4.ip_local_reserved_ports=${wanted}`,
  ];
}
