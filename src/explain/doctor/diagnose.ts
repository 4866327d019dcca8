import { bySeverity, type Finding, type Severity } from "../finding.ts";
import type { NodeEvidence } from "./evidence.ts";
import { limitFindings } from "./limit-findings.ts";
import { neighbourFindings } from "./neighbour-findings.ts";
import { networkFindings } from "./network-findings.ts";
import { ruleFindings } from "./rule-findings.ts";
import { sourceFindings } from "./source-findings.ts";
import { preparationFindings } from "./system-findings.ts";

/** The checks, by the subject that a finding names. */
const CHECKS: Readonly<Record<string, (evidence: NodeEvidence) => readonly Finding[]>> = {
  kernel: preparationFindings,
  limits: limitFindings,
  rules: ruleFindings,
  network: networkFindings,
  neighbours: neighbourFindings,
  source: sourceFindings,
};

/** A finding with the check that made it. */
export interface DoctorFinding extends Finding {
  readonly check: string;
}

/** What is wrong with a node, the most severe first; empty: nothing. */
export function diagnose(evidence: NodeEvidence): readonly DoctorFinding[] {
  return bySeverity(
    Object.entries(CHECKS).flatMap(([check, find]) => find(evidence).map((finding) => ({ check, ...finding }))),
  );
}

/** What was found right and is worth to be seen: which address of which API server answers. */
export function factsOf({ servers }: NodeEvidence): readonly string[] {
  return servers
    .filter(({ failure }) => failure === "")
    .map(({ url, address }) => `API server ${url} answers at ${address}`);
}

/** What could not be examined from where the command runs. */
export function notExamined({ processes }: NodeEvidence): readonly string[] {
  // A kernel thread, which only the process namespace of the node has.
  if (processes.includes("kthreadd")) return [];
  return [
    "the processes of the node cannot be seen in this container (hostPID is off): other proxies, announcers of addresses and network managers. On the node: pgrep -a 'kube-proxy|kube-router|keepalived|NetworkManager'",
  ];
}

/** The findings as text: what, why it matters and what to do; then the facts. */
export function diagnosisText(
  node: string,
  findings: readonly DoctorFinding[],
  facts: readonly string[] = [],
  unexamined: readonly string[] = [],
): string {
  const count = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length;
  const lines = findings.flatMap(({ severity, check, what, effect, cure }) => [
    `${severity}: ${check}: ${what}`,
    ...(effect === "" ? [] : [`    why: ${effect}`]),
    ...(cure === "" ? [] : [`    do:  ${cure}`]),
  ]);
  const summary =
    findings.length === 0
      ? `node ${node}: nothing is wrong`
      : `node ${node}: ${count("error")} errors, ${count("warning")} warnings, ${count("info")} notes`;
  return `${[...lines, ...facts.map((fact) => `ok: ${fact}`), ...unexamined.map((what) => `not examined: ${what}`), summary].join("\n")}\n`;
}
