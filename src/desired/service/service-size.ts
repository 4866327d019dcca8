import { familyOf } from "../../model/address.ts";
import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { ServiceName } from "../../model/cluster/service.ts";
import { virtualServerKey } from "../../model/kernel/ipvs.ts";
import type { EndpointSelector, SelectedEndpoints } from "./endpoint-selector.ts";
import type { Admission, Admitted } from "./frontend-entries.ts";
import type { Frontend } from "./frontends.ts";

/**
 * The maximum number of real servers of one Service on a node, and of endpoints of all its ports together. 10,000
 * frontends of 10,000 endpoints would be 10^8. A large real Service has 10,000 endpoints and a few frontends, or 1,000
 * ports with 100 endpoints.
 */
export const ENDPOINT_LIMIT = 200_000;

/**
 * The maximum number of set members of one Service that admit clients to its load balancers (frontends times source
 * ranges) or masquerade its endpoints on this node (endpoints times ports). All of them are added to and removed from
 * the desired state in one turn of the event loop, and each takes about 400 bytes.
 */
export const MEMBER_LIMIT = 20_000;

/**
 * Adds up the needs of the frontends of one Service, in their order. The first frontend that exceeds a limit, and all
 * after it, are not served. A load balancer address with too many source ranges is therefore not served at all, even if
 * it is also an external IP, because external IPs come last.
 */
export class ServiceSize {
  readonly #choices: EndpointSelector;
  readonly #admitted: Admitted | undefined;
  #reals = 0;
  #ranges = 0;

  constructor(choices: EndpointSelector, admitted: Admitted | undefined) {
    this.#choices = choices;
    this.#admitted = admitted;
  }

  /** Returns the endpoints of the next frontend; undefined if the Service exceeds a limit with it. */
  next(frontend: Frontend): SelectedEndpoints | undefined {
    if (this.#choices.readEndpointsWith(frontend.portKey) > ENDPOINT_LIMIT) return undefined;
    const choice = this.#choices.select(frontend);
    this.#reals += choice.reals.size;
    this.#ranges += this.admission(frontend)?.ranges.length ?? 0;
    const fits = this.#reals <= ENDPOINT_LIMIT && this.#ranges + this.#choices.local <= MEMBER_LIMIT;
    return fits ? choice : undefined;
  }

  /** The clients that the frontend is restricted to; undefined: it is not restricted. */
  admission({ kind, address }: Frontend): Admission | undefined {
    return kind === "load-balancer" ? this.#admitted?.[familyOf(address)] : undefined;
  }
}

/** The problem of a Service whose frontends from this one on are not served. `count` is their number. */
export function sizeProblem(service: ServiceName, { protocol, address, port }: Frontend, count: number): Problem {
  const limits = `${ENDPOINT_LIMIT} real servers (frontends times endpoints), or ${MEMBER_LIMIT} set members for source ranges (times load balancer frontends) and local endpoints (times ports)`;
  const reason = `and all frontends after it (${count} in total) are not programmed: the Service needs more than ${limits} on this node`;
  return {
    object: problemObject("Service", service),
    field: "spec",
    value: virtualServerKey(protocol, address, port),
    reason,
  };
}
