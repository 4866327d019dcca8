import type { SourcePorts } from "../kernel/kernel.ts";
import { portRangesText, rangeContains } from "../model/port-range.ts";

/**
 * What is wrong when Linux may give a process of this node a NodePort as source port of a connection, and what to do;
 * undefined when it may not. The answers to such a connection are for a virtual server, so IPVS takes them and the process
 * waits in vain.
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
    `net/ipv4/ip_local_port_range is ${portRangesText(chosen)}, so that connections of this node may come from port ${first}, ` +
      `which is a NodePort: IPVS would take their answers. Reserve NodePorts on the host: sysctl -w net.ipv4.ip_local_reserved_ports=${wanted}`,
  ];
}
