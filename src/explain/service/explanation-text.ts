import { isoTime } from "../../model/time/clock.ts";
import { findingLine } from "../finding.ts";
import type { ExplainedPort, Explanation } from "./explain-service.ts";
import type { ExplainedFrontend, ExplainedReal } from "./explained-frontends.ts";

/** The explanation as text for a terminal: the cause first, then the details. */
export function explanationText(explanation: Explanation): string {
  const { service, node, findings, ports, frontends } = explanation;
  const causes = findings.length === 0 ? ["ok: nothing is wrong on this node"] : findings.map(findingLine);
  return `${[
    `Service ${service} on node ${node}`,
    ...causes,
    ...timeLines(explanation),
    ...ports.flatMap(portLines),
    ...frontends.flatMap(frontendLines),
  ].join("\n")}\n`;
}

function timeLines({ endpointsChangedAtUnixMs: changedAt, agent }: Explanation): readonly string[] {
  const changed = changedAt === 0 ? [] : [`endpoints changed at ${isoTime(changedAt)}`];
  if (agent === undefined) return changed.map((text) => `(${text})`);
  const synced = agent.lastSyncUnixMs === 0 ? "no sync yet" : `last sync at ${isoTime(agent.lastSyncUnixMs)}`;
  const resynced = agent.lastResyncUnixMs === 0 ? [] : [`last resync at ${isoTime(agent.lastResyncUnixMs)}`];
  const pending = agent.isPending ? ["changes wait for a sync"] : [];
  return [`(${[...changed, synced, ...resynced, ...pending].join(", ")})`];
}

function portLines({ port, name, endpoints, unlisted }: ExplainedPort): readonly string[] {
  const width = Math.max(0, ...endpoints.map(({ endpoint }) => endpoint.length));
  return [
    "",
    `port ${port} ("${name}"): ${endpoints.length + unlisted} endpoints`,
    ...endpoints.map(({ endpoint, node, state, used, reason }) => {
      const usage = used === "all" ? "used" : used === "some" ? "used by some clients" : "not used";
      const where = node === "" ? "" : ` on ${node}`;
      return `  ${endpoint.padEnd(width)}  ${state}${where}: ${usage}${reason === "" ? "" : `: ${reason}`}`;
    }),
    ...(unlisted > 0 ? [`  and ${unlisted} more`] : []),
  ];
}

function frontendLines(explained: ExplainedFrontend): readonly string[] {
  const { kind, frontend, virtualServer, scheduler, flags, affinitySeconds, owner, state } = explained;
  const options = [
    scheduler === "" ? "" : `scheduler ${scheduler}${flags.length === 0 ? "" : ` (${flags.join(", ")})`}`,
    affinitySeconds === 0 ? "" : `client affinity ${affinitySeconds} s`,
    owner === "" ? "" : `of Service ${owner}`,
    state,
  ].filter((text) => text !== "");
  return [
    "",
    `${kind} ${frontend}`,
    `  virtual server ${virtualServer}: ${options.join(", ")}`,
    ...explained.clients.map((line) => `  ${line}`),
    ...explained.realServers.map((real) => `  ${realLine(real, state)}`),
  ];
}

function realLine(real: ExplainedReal, state: ExplainedFrontend["state"]): string {
  const { realServer, weight, desiredWeight } = real;
  if (state === "not read" || weight === undefined) {
    const missing = state === "not read" ? "" : ", missing in the kernel";
    return `-> ${realServer} weight ${desiredWeight ?? 0}${missing}`;
  }
  const note =
    weight === desiredWeight ? "" : desiredWeight === undefined ? draining(weight) : ` (should be ${desiredWeight})`;
  const { activeConnections: active, inactiveConnections: inactive, packetsIn, packetsOut } = real;
  return `-> ${realServer} weight ${weight}${note}: ${active} active and ${inactive} inactive connections, ${packetsIn} packets in, ${packetsOut} out`;
}

function draining(weight: number): string {
  return weight === 0 ? " (draining: it is not an endpoint any more)" : " (not an endpoint)";
}
