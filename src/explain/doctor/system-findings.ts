import type { Finding } from "../finding.ts";
import type { NodeEvidence } from "./evidence.ts";

const SETTLE = "The agent or its init container sets it: kube-ipvs init, or delete the pod of the agent";

/** What is wrong with IPVS, its schedulers, the sysctls and the prepared objects of the node. */
export function preparationFindings(evidence: NodeEvidence): readonly Finding[] {
  const { unavailable, differences, unreadable, backendWarnings, missingModules, sysctls } = evidence;
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
    ...(missingModules.length === 0
      ? []
      : [
          {
            severity: "warning" as const,
            what: `this kernel has no module ${missingModules.join(", ")}`,
            effect:
              "sets or rules that need it cannot be made, so that some Services are not masqueraded or not filtered",
            cure: "Install the modules of this kernel (Debian, Ubuntu: linux-modules-extra or the full kernel image), then run kube-ipvs init",
          },
        ]),
    ...sysctls.flatMap(sysctlFindings),
    ...differences.map((what) => ({
      severity: "warning" as const,
      what,
      effect: "until it is repaired, Services may not be reached, not be masqueraded or not be filtered",
      cure: "The agent repairs it at its next resync; if the agent runs and it stays, see its log",
    })),
    ...unreadable.map((what) => ({
      severity: "warning" as const,
      what,
      effect: "the agent can neither see nor repair its rules there",
      cure: "Run doctor as root in the network of the node, and install iptables of the host's backend",
    })),
    ...backendWarnings.map((what) => ({
      severity: "warning" as const,
      what,
      effect: "rules of one backend may drop what the other accepts, and each program shows only its own",
      cure: "Move the rules into one backend: iptables-save of the one, iptables-restore of the other, or set --iptables-backend",
    })),
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
      effect: required
        ? "packets of Services are not forwarded or masqueraded"
        : "Services work, some connections less well (docs/configuration.md)",
      cure: `Run on the host: sysctl -w ${path.replaceAll("/", ".")}=${value}. ${SETTLE}`,
    },
  ];
}
