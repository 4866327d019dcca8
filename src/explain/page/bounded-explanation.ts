import type { ExplainedPort, Explanation } from "../service/explain-service.ts";
import type { ExplainedFrontend } from "../service/explained-frontends.ts";

/** An explanation that lists at most this number of rows of a kind, and how many rows it leaves out. */
export interface BoundedExplanation {
  readonly explanation: Explanation;
  readonly unlisted: number;
}

/** Lists no more than `limit` endpoints and `limit` real servers. */
export function boundedExplanation(explanation: Explanation, limit: number): BoundedExplanation {
  let unlisted = 0;
  const first = <Row>(rows: readonly Row[], left: number): readonly Row[] => {
    unlisted += Math.max(0, rows.length - left);
    return rows.slice(0, Math.max(0, left));
  };
  let left = limit;
  const ports = first(explanation.ports, limit).map((port): ExplainedPort => {
    const endpoints = first(port.endpoints, left);
    left -= endpoints.length;
    return { ...port, endpoints, unlisted: port.unlisted + port.endpoints.length - endpoints.length };
  });
  left = limit;
  const frontends = explanation.frontends.map((frontend): ExplainedFrontend => {
    const realServers = first(frontend.realServers, left);
    left -= realServers.length;
    return { ...frontend, realServers };
  });
  return { explanation: { ...explanation, ports, frontends }, unlisted };
}
