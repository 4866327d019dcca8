import fc from "fast-check";
import { expect, test } from "vitest";
import type { Config } from "../../../src/config/config.ts";
import { RunningAgent } from "../../support/worlds/running-agent.ts";

const { STRESS = "1" } = process.env;

type Texts = Readonly<Partial<Record<keyof Config, string>>>;

/** Live settings with values that differ in what the kernel gets. */
const settings: fc.Arbitrary<Texts> = fc.record(
  {
    scheduler: fc.constantFrom("rr", "wlc", "sh"),
    nodePortAddresses: fc.constantFrom("", "primary", "192.168.0.0/16", "172.16.0.0/12,fd00::/8"),
    bindAddress: fc.constantFrom("0.0.0.0", "172.16.0.1", "fd00::1"),
    clusterCidrs: fc.constantFrom("", "10.244.0.0/16", "10.244.0.0/16,fd00:244::/32"),
    sharedVips: fc.constantFrom("", "203.0.113.0/24"),
    masqueradeAll: fc.constantFrom("true", "false"),
    localMode: fc.constantFrom("ClusterCIDR", "NodeCIDR"),
    strictArp: fc.constantFrom("true", "false"),
    conntrackTcpBeLiberal: fc.constantFrom("true", "false"),
    drainTimeoutMs: fc.constantFrom("0s", "1m"),
    minSyncPeriodMs: fc.constantFrom("0s", "1s"),
  },
  { requiredKeys: [] },
);

/** An agent with Services of each kind; 203.0.113.7 is an address of the node too. */
async function serving(texts: Texts = {}): Promise<RunningAgent> {
  const nodeAddresses = ["192.168.1.10", "172.16.0.1", "fd00::1", "203.0.113.7"];
  const agent = new RunningAgent({ nodeAddresses, settings: texts });
  agent.node("a", ["10.244.3.0/24"], ["192.168.1.10", "fd00::1"]);
  const endpoints = ["10.244.1.5", "10.244.1.6"].map((ip) => ({ ip, ready: true }));
  agent.slice("shop/web-1", { endpoints });
  agent.slice("shop/shared-1", { endpoints });
  agent.service("shop/web", { ip: "10.96.0.10", ports: [{ port: 80, nodePort: 30080 }], external: "Local" });
  agent.service("shop/shared", { ip: "10.96.0.11", externalIPs: ["203.0.113.7"] });
  agent.listed("nodes", "endpointslices", "services");
  await agent.rest();
  return agent;
}

/** What the kernel holds and what the node was prepared for, when all is done and drained. */
async function result(agent: RunningAgent): Promise<object> {
  await agent.rest(200_000);
  const { kernel } = agent;
  return {
    servers: kernel.ipvsadm().split("\n").toSorted(),
    addresses: kernel.addresses().toSorted(),
    members: kernel.members().toSorted(),
    rules: kernel.rulesWanted.at(-1),
    ready: agent.isReady(),
  };
}

test("an agent that is reconfigured any number of times comes to the state of one that is configured so at once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(settings, { minLength: 1, maxLength: 4 }), fc.nat(3_000), async (changes, pauseMs) => {
      await using changed = await serving();
      for (const texts of changes) {
        changed.reconfigure(texts);
        await changed.rest(pauseMs);
      }
      await using fresh = await serving(changes.at(-1));
      expect(await result(changed)).toEqual(await result(fresh));
    }),
    { numRuns: 20 * Number(STRESS) },
  );
});
