import type { Finding } from "../finding.ts";
import type { NodeEvidence, ServerEvidence } from "./evidence.ts";

/** Programs that announce addresses by ARP. */
const ANNOUNCERS: ReadonlySet<string> = new Set(["speaker", "kube-vip", "keepalived"]);
const MANAGERS = {
  NetworkManager: "unmanaged-devices=interface-name:kube-ipvs0",
  "systemd-network": "Unmanaged=yes",
} as const;

/** Other programs on the node that work on the same objects. */
export function neighbourFindings(evidence: NodeEvidence): readonly Finding[] {
  const { processes, proxyLeftovers, strictArp, interfaces } = evidence;
  const findings: Finding[] = [];
  if (processes.includes("kube-proxy"))
    findings.push({
      severity: "error",
      what: "kube-proxy runs on this node",
      effect: "two proxies delete and rewrite each other's virtual servers and rules",
      cure: "Remove the DaemonSet kube-proxy from this node, or this agent (docs/migration.md)",
    });
  else if (proxyLeftovers.length > 0)
    findings.push({
      severity: "warning",
      what: `kube-proxy has left ${proxyLeftovers.join(", ")}`,
      effect: "its rules may send packets of Services to endpoints that are gone",
      cure: "Run kube-proxy --cleanup with its image on this node",
    });
  const announcer = processes.find((name) => ANNOUNCERS.has(name));
  if (announcer !== undefined && !strictArp)
    findings.push({
      severity: "warning",
      what: `${announcer} announces addresses by ARP, and --ipvs-strict-arp is off`,
      effect: "every node answers ARP for load balancer IPs, so that packets arrive at the wrong node",
      cure: "Set --ipvs-strict-arp for the agent and for init",
    });
  for (const [name, setting] of Object.entries(MANAGERS))
    if (processes.some((process) => process.startsWith(name)))
      findings.push({
        severity: "info",
        what: `${name} runs on this node`,
        effect: "it may remove addresses of kube-ipvs0 if it manages the interface",
        cure: `Exclude the interface: ${setting}`,
      });
  if (interfaces.includes("nodelocaldns"))
    findings.push({
      severity: "info",
      what: "NodeLocal DNSCache serves an address on the interface nodelocaldns",
      effect: "pods that ask this address do not use IPVS",
      cure: "",
    });
  return findings;
}

const MAY_DIFFER_MS = 30_000;
const DAY_MS = 86_400_000;
const SOON_DAYS = 7;

/** Whether the source of Services can be read, and the clock and certificates agree with it. */
export function sourceFindings({ sourceFailure, servers }: NodeEvidence): readonly Finding[] {
  const failed: readonly Finding[] =
    sourceFailure === ""
      ? []
      : [
          {
            severity: "error",
            what: `the source of Services cannot be read: ${sourceFailure}`,
            effect: "the node keeps serving its last state, and changes do not arrive",
            cure: "Check the address, the network and the credentials",
          },
        ];
  return [...failed, ...servers.flatMap(serverFindings)];
}

function serverFindings({ url, failure, clockAheadMs, certificateLeftMs }: ServerEvidence): readonly Finding[] {
  const findings: Finding[] = [];
  if (failure !== "")
    findings.push({
      severity: "error",
      what: `API server ${url} does not answer: ${failure}`,
      effect: "",
      cure: "Check the address and the firewall",
    });
  if (clockAheadMs !== undefined && Math.abs(clockAheadMs) > MAY_DIFFER_MS)
    findings.push({
      severity: "warning",
      what: `the clock of this node is ${Math.round(Math.abs(clockAheadMs) / 1000)} s ${clockAheadMs > 0 ? "ahead of" : "behind"} that of ${url}`,
      effect: "certificates and tokens may be refused",
      cure: "Synchronise the clock (NTP)",
    });
  if (certificateLeftMs !== undefined && certificateLeftMs < SOON_DAYS * DAY_MS)
    findings.push({
      severity: certificateLeftMs < 0 ? "error" : "warning",
      what: `the certificate of ${url} ${certificateLeftMs < 0 ? "has expired" : `expires in ${Math.floor(certificateLeftMs / DAY_MS)} days`}`,
      effect: "the agent refuses a server whose certificate has expired",
      cure: "Renew it",
    });
  return findings;
}
