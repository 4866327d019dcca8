import type { Finding } from "../finding.ts";
import type { NodeEvidence } from "./evidence.ts";

const SHOWN = 5;
/** Interfaces whose MTU says nothing about what leaves this node. */
const NOT_AN_UPLINK =
  /^(lo|kube-ipvs0|nodelocaldns|dummy\d*|tunl0|sit0|ip6tnl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0)$/;

/** The checks and sizes of packets on the interfaces of the node. */
export function networkFindings(evidence: NodeEvidence): readonly Finding[] {
  return [...reversePathFindings(evidence), ...mtuFindings(evidence)];
}

function reversePathFindings({ reversePath: { strict, dropped } }: NodeEvidence): readonly Finding[] {
  if (strict.length === 0) return [];
  const names = strict.slice(0, SHOWN).join(", ") + (strict.length > SHOWN ? ` and ${strict.length - SHOWN} more` : "");
  return [
    {
      severity: dropped > 0 ? "warning" : "info",
      what: `rp_filter is 1 (strict) on ${names}, and the filter has dropped ${dropped} packets since the node started`,
      effect:
        "a packet is dropped if the route back to its source leads through another interface, as with several uplinks",
      cure: "If clients on one of several networks get no answer, run on the host: sysctl -w net.ipv4.conf.all.rp_filter=2 (some network plugins require 1)",
    },
  ];
}

/** A process that sends to a Service of its own node takes the MTU of lo, because the address is local; IPVS does not fragment. */
function mtuFindings({ hasUdpServices, mtus }: NodeEvidence): readonly Finding[] {
  const lo = mtus.get("lo");
  const [uplink] = [...mtus].filter(([name]) => !NOT_AN_UPLINK.test(name)).sort(([, a], [, b]) => a - b);
  if (!hasUdpServices || lo === undefined || uplink === undefined || lo <= uplink[1]) return [];
  const [name, mtu] = uplink;
  return [
    {
      severity: "info",
      what: `the MTU of lo is ${lo}, and that of ${name} is ${mtu}`,
      effect: `UDP datagrams of more than ${mtu} bytes from processes of this node to a Service are lost; pods are not affected`,
      cure: "For a Service that gets such datagrams from the node, set the MTU of the route to it (docs/limits.md#connections)",
    },
  ];
}
