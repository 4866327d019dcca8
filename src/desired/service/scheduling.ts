import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { Protocol, Service } from "../../model/cluster/service.ts";
import type { Scheduler } from "../../model/kernel/ipvs.ts";
import { type Scheduling, usualScheduling } from "../../model/kernel/scheduler.ts";
import type { NodeFacts } from "../../node/node-facts.ts";

// A scheduler name of Linux.
const HASH_OF_CLIENT = "sh" as string as Scheduler;

/** Returns the scheduling of the Service, or else of the node. One-packet mode is for UDP only. */
export function schedulingOf({ overrides: choices }: Service, protocol: Protocol, facts: NodeFacts): Scheduling {
  const { scheduler, flags } = chosen(choices.scheduling, facts) ?? usualScheduling(facts.scheduler);
  return { scheduler, flags: choices.onePacket && protocol === "UDP" ? [...flags, "one-packet"] : flags };
}

/**
 * Returns the scheduling of a virtual server by packet mark. Its session affinity cannot translate ports, so a hash of
 * the client's address replaces it. With sh-fallback, clients of a draining endpoint are scheduled to another endpoint.
 */
export function hashedIfSticky(service: Service, protocol: Protocol, facts: NodeFacts): Scheduling {
  const hashed = chosen({ scheduler: HASH_OF_CLIENT, flags: ["sh-fallback"] }, facts);
  return service.affinitySeconds > 0 && hashed !== undefined ? hashed : schedulingOf(service, protocol, facts);
}

/** The problem of a Service whose scheduler is not available on this node. */
export function schedulerProblems({ name, overrides: choices }: Service, facts: NodeFacts): readonly Problem[] {
  const { scheduling } = choices;
  if (scheduling === undefined || chosen(scheduling, facts) !== undefined) return [];
  const reason = `is not available as IPVS scheduler in this kernel: ${facts.scheduler} is used instead; to load it, run on the host: modprobe ip_vs_${scheduling.scheduler}`;
  return [
    { object: problemObject("Service", name), field: "metadata.annotations", value: scheduling.scheduler, reason },
  ];
}

function chosen(scheduling: Scheduling | undefined, { missingSchedulers }: NodeFacts): Scheduling | undefined {
  return scheduling === undefined || missingSchedulers.includes(scheduling.scheduler) ? undefined : scheduling;
}
