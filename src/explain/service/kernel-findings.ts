import { RTPROT_KUBE_IPVS } from "../../kernel/route/constants.ts";
import { addressPort, familyOf, type IPAddress } from "../../model/address.ts";
import type { RealTraffic } from "../../model/kernel/traffic.ts";
import type { VipBinding } from "../../model/vip-binding.ts";
import type { Finding } from "../finding.ts";
import type { ServedFrontend } from "./explained-frontends.ts";
import type { KernelView, ServiceView } from "./service-view.ts";

/** The set members that a finding names. */
const NAMED = 3;
const REPAIR = "The agent repairs it at its next resync; if it comes back, find the program that changes it";

/** What differs between the kernel and the desired state, and which real servers do not answer. */
export function kernelFindings(
  view: ServiceView,
  served: readonly ServedFrontend[],
  kernel: KernelView,
): readonly Finding[] {
  const own = served.filter(({ key }) => view.owner(key) === view.name);
  return [
    ...own.flatMap(serverFindings),
    ...addressFindings(own, kernel),
    ...entryFindings(view, kernel),
    ...silentFindings(own),
  ];
}

function serverFindings({ key, desired, actual }: ServedFrontend): readonly Finding[] {
  if (desired === undefined) return [];
  if (actual === undefined) {
    const effect = "the node does not answer at this address";
    return [{ severity: "error", what: `virtual server ${key} is missing in the kernel`, effect, cure: REPAIR }];
  }
  const findings: Finding[] = [];
  const { scheduler } = actual.server;
  if (scheduler !== desired.server.scheduler)
    findings.push({
      severity: "warning",
      what: `virtual server ${key} has the scheduler ${scheduler} and should have ${desired.server.scheduler}`,
      effect: "connections are spread in another way",
      cure: REPAIR,
    });
  const found = new Map(actual.reals.map(({ real }) => [real.key, real]));
  for (const real of desired.reals) {
    const weight = found.get(real.key)?.weight;
    if (weight === real.weight) continue;
    const what =
      weight === undefined
        ? `real server ${real.key} of ${key} is missing in the kernel`
        : `real server ${real.key} of ${key} has weight ${weight} in the kernel and should have ${real.weight}`;
    const effect = weight === undefined || weight === 0 ? "it gets no new connections" : "";
    findings.push({ severity: effect === "" ? "warning" : "error", what, effect, cure: REPAIR });
  }
  return findings;
}

/** What is missing, for each binding of VIPs. */
const MISSING_VIP: Readonly<Record<VipBinding, (address: IPAddress) => string>> = {
  address: (address) => `address ${address} is missing on the interface kube-ipvs0, or the interface is missing`,
  route: (address) =>
    `the local route of address ${address} is missing (ip route show table local proto ${RTPROT_KUBE_IPVS})`,
};

function addressFindings(own: readonly ServedFrontend[], { binding, hasAddress }: KernelView): readonly Finding[] {
  const missing = new Set<IPAddress>();
  for (const { frontend } of own)
    if (frontend.kind !== "node-port" && !hasAddress(frontend.address)) missing.add(frontend.address);
  return [...missing].map((address) => ({
    severity: "error",
    what: MISSING_VIP[binding](address),
    effect: "packets to it leave this node instead of reaching IPVS",
    cure: REPAIR,
  }));
}

function entryFindings({ entries }: ServiceView, { hasEntry }: KernelView): readonly Finding[] {
  const missing = entries.filter(({ key }) => !hasEntry(key));
  if (missing.length === 0) return [];
  const named = missing.slice(0, NAMED).map(({ key }) => `"${key}"`);
  const more = missing.length > NAMED ? ` and ${missing.length - NAMED} more` : "";
  return [
    {
      severity: "error",
      what: `set members are missing in the kernel: ${named.join(", ")}${more}`,
      effect: "the rules do not recognise packets of the Service",
      cure: REPAIR,
    },
  ];
}

/** The real servers that get packets and do not answer, each named once. */
function silentFindings(own: readonly ServedFrontend[]): readonly Finding[] {
  const byReal = new Map<string, RealTraffic>();
  for (const { actual } of own)
    for (const traffic of actual?.reals ?? []) {
      const before = byReal.get(traffic.real.key);
      byReal.set(traffic.real.key, before === undefined ? traffic : added(before, traffic));
    }
  return [...byReal.values()].flatMap(silence);
}

function added(a: RealTraffic, b: RealTraffic): RealTraffic {
  return {
    real: a.real,
    active: a.active + b.active,
    inactive: a.inactive + b.inactive,
    connections: a.connections + b.connections,
    packetsIn: a.packetsIn + b.packetsIn,
    packetsOut: a.packetsOut + b.packetsOut,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
  };
}

/** The length of a TCP reset: IP and TCP headers without options. Every other answer of a server has options or data. */
const RESET_BYTES = { IPv4: 40, IPv6: 60 } as const;

function silence({ real, packetsIn, packetsOut, bytesOut }: RealTraffic): readonly Finding[] {
  const name = addressPort(real.address, real.port);
  if (packetsIn > 0 && packetsOut === 0)
    return [
      {
        severity: "warning",
        what: `endpoint ${name} got ${packetsIn} packets and never answered`,
        effect: "connections to it time out",
        cure: "Check that the pod runs, that its network policy admits this node, and that the route to it works; trace shows the rules of this node",
      },
    ];
  if (packetsOut > 0 && bytesOut === packetsOut * RESET_BYTES[familyOf(real.address)])
    return [
      {
        severity: "warning",
        what: `endpoint ${name} probably refuses connections: its ${packetsOut} packets to clients were all as long as a TCP reset`,
        effect: 'clients get "connection refused"',
        cure: `Check that the container listens on port ${real.port} at all addresses, which its readiness probe does not test, and that no firewall rejects; on this node: curl -m 3 http://${name}/`,
      },
    ];
  return [];
}
