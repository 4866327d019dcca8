import type { SliceSpec } from "../objects/builders.ts";
import type { RunningAgent } from "./running-agent.ts";

const HINTED: SliceSpec = {
  endpoints: [
    { ip: "10.244.1.5", ready: true, zones: ["a"] },
    { ip: "10.244.2.5", ready: true, node: "n2", zones: ["b"] },
  ],
};

/** Gives the agent a Service with hints for zones, and the end of the lists. */
export function told(agent: RunningAgent): void {
  agent.slice("shop/web-1", HINTED);
  agent.service("shop/web", { ip: "10.96.0.10" });
  agent.listed("endpointslices", "services");
}

/** What it needs on a node in the zone a. */
export const NEAR = "-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 1";
