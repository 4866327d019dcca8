import { expect, test } from "vitest";
import type { RealServerKey, VirtualServerKey } from "../../src/model/kernel/ipvs.ts";
import { RunningAgent } from "../support/worlds/running-agent.ts";

/** One example for each fault of an agent that used the wall clock; `properties/agent/clock.test.ts` has the general case. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const SERVER = "TCP/10.96.0.10:80" as VirtualServerKey;
const OLD = "10.244.1.5:8080" as RealServerKey;

/** An idle agent with one Service of these pods. */
async function serving(agent: RunningAgent, ...pods: readonly string[]): Promise<void> {
  agent.service("shop/web", { ip: "10.96.0.10" });
  agent.slice("shop/web-1", { endpoints: pods });
  agent.listed("services", "endpointslices", "nodes");
  await agent.rest(2_000);
}

const holds = (agent: RunningAgent, pod: string) => agent.kernel.ipvsadm().includes(`-r ${pod}:8080 -m -w 1`);

test.each([-2 * HOUR_MS, 2 * HOUR_MS])("the wall clock is set by %d ms: a change is programmed at once", async (ms) => {
  await using agent = new RunningAgent();
  await serving(agent, "10.244.1.5");
  agent.clock.stepWall(ms);
  agent.slice("shop/web-1", { endpoints: ["10.244.1.5", "10.244.1.6"] });
  await agent.rest();
  expect(holds(agent, "10.244.1.6")).toBe(true);
});

test.each([-2 * HOUR_MS, 2 * HOUR_MS])(
  "the wall clock is set by %d ms: drift is repaired a sync period later",
  async (ms) => {
    await using agent = new RunningAgent();
    await serving(agent, "10.244.1.5");
    agent.clock.stepWall(ms);
    const actual = agent.kernel.servers().get(SERVER);
    const real = actual?.reals.get(OLD);
    if (actual && real) agent.kernel.meddle({ kind: "delete-real-server", server: actual.server, real });
    expect(holds(agent, "10.244.1.5")).toBe(false);
    await agent.rest(33_000);
    expect(holds(agent, "10.244.1.5")).toBe(true);
  },
);

test.each([-2 * HOUR_MS, 2 * HOUR_MS])("the wall clock is set by %d ms: a failed operation is retried", async (ms) => {
  await using agent = new RunningAgent();
  agent.kernel.failOperations((operation) => operation.kind === "add-real-server", "ENOMEM", 2);
  await serving(agent, "10.244.1.5");
  agent.clock.stepWall(ms);
  await agent.rest(10_000);
  expect(holds(agent, "10.244.1.5")).toBe(true);
});

test("the wall clock is set forward by 20 minutes: a draining connection is not cut before its limit", async () => {
  await using agent = new RunningAgent();
  await serving(agent, "10.244.1.5");
  agent.kernel.setConnections(SERVER, OLD, { active: 1, inactive: 0 });
  agent.slice("shop/web-1", { endpoints: ["10.244.1.6"] });
  await agent.rest(MINUTE_MS);
  agent.clock.stepWall(20 * MINUTE_MS);
  await agent.rest(13 * MINUTE_MS);
  expect(agent.kernel.ipvsadm()).toContain("-r 10.244.1.5:8080 -m -w 0");
  agent.clock.stepWall(-2 * HOUR_MS);
  await agent.rest(2 * MINUTE_MS);
  expect(agent.kernel.ipvsadm()).not.toContain("10.244.1.5");
});

test("the wall clock is set back by 2 hours: /livez fails only when the kernel has not answered for two sync periods", async () => {
  await using agent = new RunningAgent();
  await serving(agent, "10.244.1.5");
  agent.kernel.failReads(Number.POSITIVE_INFINITY);
  await agent.rest(35_000);
  agent.clock.stepWall(2 * HOUR_MS);
  expect(agent.isAlive()).toBe(true);
  agent.clock.stepWall(-4 * HOUR_MS);
  await agent.rest(MINUTE_MS);
  expect([agent.isAlive(), agent.isHealthy()]).toEqual([false, false]);
});
