import type { Finding } from "../finding.ts";
import type { NodeEvidence } from "./evidence.ts";

/** Programs that announce addresses by ARP. */
const ANNOUNCERS: ReadonlySet<string> = new Set(["speaker", "kube-vip", "keepalived"]);
const MANAGERS = {
  NetworkManager: "in /etc/NetworkManager/conf.d: [keyfile] unmanaged-devices=interface-name:kube-ipvs0",
  "systemd-network": "in /etc/systemd/network: [Match] Name=kube-ipvs0 [Link] Unmanaged=yes",
} as const;

/** Other programs on the node that work on the same objects. */
export function neighbourFindings(evidence: NodeEvidence): readonly Finding[] {
  const { processes, strictArp, interfaces } = evidence;
  const findings: Finding[] = [...proxyFindings(evidence), ...managerFindings(evidence)];
  const announcer = processes.find((name) => ANNOUNCERS.has(name));
  if (announcer !== undefined && !strictArp)
    findings.push({
      severity: "warning",
      what: `${announcer} announces addresses by ARP, and --ipvs-strict-arp is off`,
      effect: "every node answers ARP for load balancer IPs, so that packets arrive at the wrong node",
      cure: "Set --ipvs-strict-arp for the agent and for init",
    });
  if (interfaces.includes("nodelocaldns"))
    findings.push({
      severity: "info",
      what: "NodeLocal DNSCache serves an address on the interface nodelocaldns",
      effect: "pods that ask this address do not use IPVS: if DNS fails, look at the pods of node-local-dns first",
      cure: "Nothing, if this is intended",
    });
  return findings;
}

const TWO_PROXIES = "two proxies delete and rewrite each other's virtual servers and rules";

function proxyFindings({ otherProxies, foreignTables, occupiedPort }: NodeEvidence): readonly Finding[] {
  const table = foreignTables.find(({ name }) => /^ip6? kube-proxy$/.test(name));
  return [
    ...otherProxies.map((name) => ({
      severity: "error" as const,
      what: `another service proxy runs on this node: ${name}`,
      effect: TWO_PROXIES,
      cure: "Remove its DaemonSet from this node, or this agent (docs/migration.md)",
    })),
    ...(table === undefined
      ? []
      : [
          {
            severity: "warning" as const,
            what: `nftables table "${table.name}" of kube-proxy's nftables mode exists`,
            effect: "its rules send packets of Services to endpoints that may be gone, before IPVS sees them",
            cure: "The agent removes the table after its first sync. If the table comes back, a kube-proxy in nftables mode runs: stop it",
          },
        ]),
    ...(occupiedPort === undefined
      ? []
      : [
          {
            severity: "warning" as const,
            what: `${occupiedPort.owner === "" ? "another program" : occupiedPort.owner} listens at ${occupiedPort.address}, the address of the agent's metrics server`,
            effect:
              "metrics of kube-ipvs are missing, and the listener may be another proxy: kube-proxy uses the same port",
            cure: `Find it: ss -ltnp sport = :${occupiedPort.address.replace(/.*:/, "")}. Stop it, or set --metrics-bind-address`,
          },
        ]),
  ];
}

function managerFindings({ processes, managers }: NodeEvidence): readonly Finding[] {
  return Object.entries(MANAGERS).flatMap(([name, setting]) => {
    if (!processes.some((process) => process.startsWith(name)) && !managers.includes(name)) return [];
    const manages = managers.includes(name);
    return [
      {
        severity: manages ? ("warning" as const) : ("info" as const),
        what: manages ? `${name} manages the interface kube-ipvs0` : `${name} runs on this node`,
        effect: manages
          ? "it may remove addresses of Services from the interface, and set it up"
          : "it may remove addresses of kube-ipvs0 if it manages the interface",
        cure: `Exclude the interface ${setting}`,
      },
    ];
  });
}
