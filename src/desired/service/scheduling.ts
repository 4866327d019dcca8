import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { Protocol, Service } from "../../model/cluster/service.ts";
import type { Scheduler } from "../../model/kernel/ipvs.ts";
import { type Scheduling, usualScheduling } from "../../model/kernel/scheduler.ts";
import type { NodeFacts } from "../../node/node-facts.ts";

// A word that Linux knows.
const HASH_OF_CLIENT = "sh" as string as Scheduler;

/** The Service's own choice, else the node's. One-packet mode exists for UDP alone. */
export function schedulingOf({ choices }: Service, protocol: Protocol, facts: NodeFacts): Scheduling {
  const { scheduler, flags } = chosen(choices.scheduling, facts) ?? usualScheduling(facts.scheduler);
  return { scheduler, flags: choices.onePacket && protocol === "UDP" ? [...flags, "one-packet"] : flags };
}

/**
 * By packet mark IPVS knows no session affinity that also translates ports, so a hash of the client's address stands in.
 * It gives what its place has no endpoint for, one that drains, to another.
 */
export function hashedIfSticky(service: Service, protocol: Protocol, facts: NodeFacts): Scheduling {
  const hashed = chosen({ scheduler: HASH_OF_CLIENT, flags: ["sh-fallback"] }, facts);
  return service.affinitySeconds > 0 && hashed !== undefined ? hashed : schedulingOf(service, protocol, facts);
}

/** What the Service is told when its scheduler is not to be had here. */
export function schedulerProblems({ name, choices }: Service, facts: NodeFacts): readonly Problem[] {
  const { scheduling } = choices;
  if (scheduling === undefined || chosen(scheduling, facts) !== undefined) return [];
  const reason = `is no scheduler of this node's kernel; ${facts.scheduler} stands in`;
  return [
    { object: problemObject("Service", name), field: "metadata.annotations", value: scheduling.scheduler, reason },
  ];
}

function chosen(scheduling: Scheduling | undefined, { missingSchedulers }: NodeFacts): Scheduling | undefined {
  return scheduling === undefined || missingSchedulers.includes(scheduling.scheduler) ? undefined : scheduling;
}
