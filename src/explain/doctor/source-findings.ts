import type { Finding } from "../finding.ts";
import type { CertificateEvidence, NodeEvidence, ServerEvidence } from "./evidence.ts";

const MAY_DIFFER_MS = 30_000;
const DAY_MS = 86_400_000;
const SOON_DAYS = 7;

/** Whether the source of Services can be read, and the clock and certificates agree with it. */
export function sourceFindings({ sourceFailure, servers, certificates }: NodeEvidence): readonly Finding[] {
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
  return [...failed, ...servers.flatMap(serverFindings), ...certificates.flatMap(certificateFindings)];
}

function serverFindings({ url, failure, clockAheadMs }: ServerEvidence): readonly Finding[] {
  const findings: Finding[] = [];
  if (failure !== "")
    findings.push({
      severity: "error",
      what: `API server ${url} does not answer: ${failure}`,
      effect: "while no API server answers, the node keeps serving its last state, and changes do not arrive",
      cure: `Check from this node: curl -k ${url.replace(/\/$/, "")}/version. Then check the address, the firewall and the server`,
    });
  if (clockAheadMs !== undefined && Math.abs(clockAheadMs) > MAY_DIFFER_MS)
    findings.push({
      severity: "warning",
      what: `the clock of this node is ${Math.round(Math.abs(clockAheadMs) / 1000)} s ${clockAheadMs > 0 ? "ahead of" : "behind"} that of ${url}`,
      effect: "certificates and tokens may be refused",
      cure: "Synchronise the clock (NTP)",
    });
  return findings;
}

const EFFECTS: Readonly<Record<CertificateEvidence["kind"], string>> = {
  server: "the agent refuses a server whose certificate has expired: changes of Services do not arrive",
  client: "the API server refuses an agent whose certificate has expired: changes of Services do not arrive",
  metrics: "Prometheus refuses a server whose certificate has expired: metrics of this node are missing",
};

const CURES: Readonly<Record<CertificateEvidence["kind"], string>> = {
  server: "Renew it on the server (kubeadm: kubeadm certs renew apiserver)",
  client: "Renew it and put it into the kubeconfig. The agent reads a changed file by itself",
  metrics: "Renew it and replace the files. The agent reads changed files by itself",
};

function certificateFindings({ name, kind, leftMs }: CertificateEvidence): readonly Finding[] {
  if (leftMs >= SOON_DAYS * DAY_MS) return [];
  return [
    {
      severity: leftMs < 0 ? "error" : "warning",
      what: `${name} ${leftMs < 0 ? "has expired" : `expires in ${daysText(leftMs)}`}`,
      effect: EFFECTS[kind],
      cure: CURES[kind],
    },
  ];
}

function daysText(ms: number): string {
  const days = Math.floor(ms / DAY_MS);
  if (days === 0) return "less than a day";
  return days === 1 ? "1 day" : `${days} days`;
}
