import type { ServiceName } from "../model/cluster/service.ts";
import type { Frontend } from "./service/frontends.ts";

/** How good a Service's title to a frontend is; the lower counts. */
export type Title = 0 | 1 | 2 | 3;

/**
 * The API server gives a cluster IP and a node port to one Service alone; a load balancer's address is written by its
 * controller; an external IP by whoever may write a Service, who must not take another one's traffic by it.
 */
export const TITLES: Readonly<Record<Frontend["kind"], Title>> = {
  "cluster-ip": 0,
  "node-port": 1,
  "load-balancer": 2,
  "external-ip": 3,
};

/** A Service that wants a virtual server, and by what right. */
export interface Claim {
  readonly service: ServiceName;
  readonly title: Title;
}

/** Sorts by title, then by name: so the order of events does not matter. */
export function compareClaims(a: Claim, b: Claim): number {
  if (a.title !== b.title) return a.title - b.title;
  if (a.service === b.service) return 0;
  return a.service < b.service ? -1 : 1;
}
