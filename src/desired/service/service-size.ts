import { familyOf } from "../../model/address.ts";
import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { ServiceName } from "../../model/cluster/service.ts";
import { virtualServerKey } from "../../model/kernel/ipvs.ts";
import type { Choice, EndpointChoices } from "./endpoint-choice.ts";
import type { Admission, Admitted } from "./frontend-entries.ts";
import type { Frontend } from "./frontends.ts";

/**
 * So many real servers one Service may have on a node, and its ports together so many endpoints. 10,000 frontends of 10,000
 * endpoints are 10^8; a large honest Service has 10,000 endpoints and a few frontends, or 1,000 ports of 100 endpoints.
 */
export const ENDPOINT_LIMIT = 200_000;

/**
 * So many set members one Service may have that admit clients to its load balancers (frontends times source ranges) or
 * masquerade its own endpoints on this node (endpoints times ports). All go in and out of the desired state in one turn of
 * the event loop, and the agent needs some 400 bytes for each.
 */
export const MEMBER_LIMIT = 20_000;

/**
 * Counts what the frontends of one Service need, in the order in which they count. The first one with which the Service would
 * be too large ends it: neither that one nor any after it is served. So a load balancer's address whose restriction is
 * too large is not served at all, not even where it is an external IP as well, since external IPs come last.
 */
export class ServiceSize {
  readonly #choices: EndpointChoices;
  readonly #admitted: Admitted | undefined;
  #reals = 0;
  #ranges = 0;

  constructor(choices: EndpointChoices, admitted: Admitted | undefined) {
    this.#choices = choices;
    this.#admitted = admitted;
  }

  /** The endpoints of the next frontend; undefined where the Service would be too large with it. */
  next(frontend: Frontend): Choice | undefined {
    if (this.#choices.lookedWith(frontend.portKey) > ENDPOINT_LIMIT) return undefined;
    const choice = this.#choices.of(frontend);
    this.#reals += choice.reals.size;
    this.#ranges += this.admission(frontend)?.ranges.length ?? 0;
    const fits = this.#reals <= ENDPOINT_LIMIT && this.#ranges + this.#choices.local <= MEMBER_LIMIT;
    return fits ? choice : undefined;
  }

  /** The clients that the frontend is restricted to; undefined: it is not. */
  admission({ kind, address }: Frontend): Admission | undefined {
    return kind === "load-balancer" ? this.#admitted?.[familyOf(address)] : undefined;
  }
}

/** The problem of a Service whose frontends from this one on are not served. */
export function sizeProblem(service: ServiceName, { protocol, address, port }: Frontend, count: number): Problem {
  const limits = `${ENDPOINT_LIMIT} real servers (frontends times endpoints), or ${MEMBER_LIMIT} set members for source ranges (times load balancer frontends) and local endpoints (times ports)`;
  const reason = `and all frontends after it (${count} in all) are not programmed: the Service would need more than ${limits} on this node`;
  return {
    object: problemObject("Service", service),
    field: "spec",
    value: virtualServerKey(protocol, address, port),
    reason,
  };
}
