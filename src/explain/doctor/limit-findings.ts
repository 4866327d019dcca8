import type { SetFill } from "../../kernel/ipset/set-queries.ts";
import { isOlderKernel } from "../../model/kernel/kernel-release.ts";
import { describeSourcePorts } from "../../node/source-ports.ts";
import type { Finding } from "../finding.ts";
import type { NodeEvidence } from "./evidence.ts";

/** What is wrong with the sizes of tables and ranges of this kernel. */
export function limitFindings(evidence: NodeEvidence): readonly Finding[] {
  const { conntrack, sets, estimation, sourcePorts, nodePorts, vipAddresses = 0 } = evidence;
  const ports = sourcePorts === undefined ? [] : describeSourcePorts(sourcePorts, nodePorts);
  return [
    ...conntrackFindings(conntrack),
    ...sets.flatMap(setFindings),
    ...estimationFindings(estimation),
    ...vipFindings(vipAddresses),
    ...ports.map((what) => ({
      severity: "warning" as const,
      what,
      effect: "some connections of processes of this node, to any destination, get no answer",
      cure: "Reserve the ports as above, and in /etc/sysctl.d for the next start",
    })),
  ];
}

/** The share of a table from which on it is called nearly full. */
const NEARLY_FULL = 0.9;

function conntrackFindings(conntrack: NodeEvidence["conntrack"]): readonly Finding[] {
  if (conntrack === undefined || conntrack.max === 0) return [];
  const { count, max, dropped } = conntrack;
  const cure =
    "Raise --conntrack-max-per-core and --conntrack-min, or find who opens so many connections: conntrack -S, conntrack -L";
  if (count >= max * NEARLY_FULL)
    return [
      {
        severity: count >= max ? "error" : "warning",
        what: `conntrack has ${count} of ${max} connections`,
        effect: "when it is full, packets of new connections are dropped",
        cure,
      },
    ];
  if (dropped === 0) return [];
  const what = `conntrack has dropped ${dropped} packets since the node started, because its table was full or an entry could not be inserted`;
  return [{ severity: "info", what, effect: "new connections failed then", cure }];
}

/** A set that is full grows by itself. Only near the hard limit is something to do. */
function setFindings({ name, members, limit, hardLimit }: SetFill): readonly Finding[] {
  if (members >= hardLimit * NEARLY_FULL)
    return [
      {
        severity: members >= hardLimit ? "error" : "warning",
        what: `set ${name} has ${members} of at most ${hardLimit} members`,
        effect:
          "when it is full, new Services or clients are missing in it: their packets are dropped or not masqueraded",
        cure: "Use fewer Services, source ranges or NodePort addresses",
      },
    ];
  if (members < limit * NEARLY_FULL) return [];
  return [
    {
      severity: "info",
      what: `set ${name} has ${members} of ${limit} members`,
      effect: `the agent replaces it by a larger one when it is full, up to ${hardLimit} members`,
      cure: "Nothing while the agent runs. A kube-proxy that comes back needs it at 65536: use kube-ipvs rollback",
    },
  ];
}

/** From here on to bind all VIPs as addresses takes seconds (docs/scale.md). */
const MANY_ADDRESSES = 10_000;

function vipFindings(addresses: number): readonly Finding[] {
  if (addresses < MANY_ADDRESSES) return [];
  return [
    {
      severity: "info",
      what: `${addresses} addresses of Services are on the interface kube-ipvs0, and Linux walks through all of them for each change of one`,
      effect:
        "to add all takes seconds to minutes after a start of the node, and other changes of interfaces and addresses wait meanwhile",
      cure: "Bind them by routes: --vip-binding=route (docs/scale.md)",
    },
  ];
}

/** 4 microseconds each (docs/kernels.md), so that more take longer than 40 ms every two seconds. */
const MANY_ESTIMATORS = 10_000;

function estimationFindings(estimation: NodeEvidence["estimation"]): readonly Finding[] {
  if (estimation === undefined) return [];
  const { isOn, estimators, kernelRelease } = estimation;
  if (!isOn)
    return [
      {
        severity: "info",
        what: "net/ipv4/vs/run_estimation is 0",
        effect: "the packets and rates that explain and ipvsadm show stand still",
        cure: "To see them, run on the host: sysctl -w net.ipv4.vs.run_estimation=1",
      },
    ];
  if (estimators < MANY_ESTIMATORS || !isOlderKernel(kernelRelease, 6, 2)) return [];
  return [
    {
      severity: "warning",
      what: `Linux ${kernelRelease} computes the rates of ${estimators} virtual and real servers in one timer`,
      effect: `about every two seconds it stops packets on one CPU for some ${Math.round(estimators * 0.004)} ms`,
      cure: isOlderKernel(kernelRelease, 5, 16)
        ? "Use Linux 6.2 or newer"
        : "Run on the host: sysctl -w net.ipv4.vs.run_estimation=0 (explain and ipvsadm then show no packets), or use Linux 6.2 or newer",
    },
  ];
}
