import type { IPAddress, IPFamily } from "../model/address.ts";
import type { Scheduler } from "../model/ipvs.ts";

/** Where we are and how we were told to work: the second argument of everything a Service can want. */
export interface NodeFacts {
  readonly nodeName: string;
  /** "" when unknown. */
  readonly zone: string;
  readonly families: readonly IPFamily[];
  /** On which NodePorts answer; resolved, sorted, without loopback. */
  readonly nodePortAddresses: readonly IPAddress[];
  readonly scheduler: Scheduler;
}
