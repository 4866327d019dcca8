import { describeSourcePorts } from "../../node/source-ports.ts";
import type { Finding } from "../finding.ts";
import type { NodeEvidence } from "./evidence.ts";

const SETTLE = "The agent or its init container sets it: kube-ipvs init, or delete the pod of the agent";

/** What is wrong with IPVS, its schedulers, the sysctls and the prepared objects of the node. */
export function preparationFindings(evidence: NodeEvidence): readonly Finding[] {
  const { unavailable, differences, unreadable, sysctls } = evidence;
  return [
    ...(unavailable === ""
      ? []
      : [
          {
            severity: "error" as const,
            what: unavailable,
            effect: "no Service works",
            cure: "Load the module on the host: modprobe ip_vs",
          },
        ]),
    ...schedulerFindings(evidence),
    ...sysctls.flatMap(sysctlFindings),
    ...differences.map((what) => ({
      severity: "warning" as const,
      what,
      effect: "",
      cure: "The agent repairs it at its next resync; if the agent runs and it stays, see its log",
    })),
    ...unreadable.map((what) => ({ severity: "warning" as const, what, effect: "", cure: "" })),
  ];
}

function schedulerFindings({ scheduler, missingSchedulers }: NodeEvidence): readonly Finding[] {
  return missingSchedulers.map((name) => ({
    severity: name === scheduler ? "error" : "warning",
    what: `the IPVS scheduler "${name}" is neither loaded nor found as a module`,
    effect:
      name === scheduler ? "virtual servers cannot be added" : "Services that ask for it get the scheduler of the node",
    cure: `Install the module of this kernel and run on the host: modprobe ip_vs_${name}`,
  }));
}

function sysctlFindings(sysctl: NodeEvidence["sysctls"][number]): readonly Finding[] {
  const { path, value, compare, required, found } = sysctl;
  const isRight = compare === "equal" ? found === value : Number(found) >= Number(value);
  if (isRight) return [];
  return [
    {
      severity: required ? "error" : "warning",
      what: `${path} is ${found ?? "missing"} and should be ${value}${compare === "equal" ? "" : " or more"}`,
      effect: required ? "packets of Services are not forwarded or masqueraded" : "",
      cure: `Run on the host: sysctl -w ${path.replaceAll("/", ".")}=${value}. ${SETTLE}`,
    },
  ];
}

/** What is wrong with the sizes of tables and ranges of this kernel. */
export function limitFindings({ conntrack, sourcePorts, nodePorts }: NodeEvidence): readonly Finding[] {
  const ports = sourcePorts === undefined ? [] : describeSourcePorts(sourcePorts, nodePorts);
  return [
    ...conntrackFindings(conntrack),
    ...ports.map((what) => ({ severity: "warning" as const, what, effect: "", cure: "" })),
  ];
}

/** The share of the conntrack table from which on it is called nearly full. */
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
