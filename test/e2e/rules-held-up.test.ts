import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../support/agent-process.ts";
import { serviceObject, sliceObject } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "../support/namespace.ts";
import { TestNode } from "../support/netns.ts";

/** An agent that cannot write its iptables rules: Services do not wait for them, and the agent is not ready. */
let node: TestNode;
let manifests: ManifestFolder;
const lock = () => `/run/xtables-${node.name}.lock`;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a"] });
  await manifests.put("web.json", [
    serviceObject("shop/web", { ip: "10.96.6.1" }),
    sliceObject("shop/web-1", { endpoints: [node.pod("a").ip] }),
  ]);
});

afterEach(() => rm(lock(), { recursive: true, force: true }));

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

/** That the Service is programmed, no rule is written, and the probe of readiness gives this reason. */
async function servedWithoutRules(agent: AgentProcess, reason: string): Promise<void> {
  await eventually(async () => expect(await node.prints("ipvsadm -Sn")).toContain("-r "), { withinMs: 20_000 });
  await eventually(async () => expect((await agent.readyz()).body).toContain(reason), { withinMs: 20_000 });
  expect(await node.prints("iptables-save -t nat")).not.toContain("KUBE-SERVICES");
  expect((await agent.metricsText()).match(/restore_failures_total\{ip_family="IPv4"\} (\d+)/)?.[1]).not.toBe("0");
}

async function readyWithRules(agent: AgentProcess): Promise<void> {
  await agent.ready();
  expect(await node.prints("iptables-save -t nat")).toContain("KUBE-SERVICES");
}

describe("Services are programmed and the agent is unready", () => {
  test("while somebody holds the lock of iptables", async () => {
    await writeFile(lock(), "");
    const holder = node.node.namespace.start(["flock", "--no-fork", lock(), "sleep", "infinity"]);
    await using agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "2s");
    await servedWithoutRules(agent, "iptables");
    await ended(holder, "SIGKILL");
    await readyWithRules(agent);
  });

  test("while the lock of iptables cannot be opened", async () => {
    await node.prints("iptables -t nat -F; iptables -t nat -X");
    await rm(lock(), { force: true });
    await mkdir(lock());
    await using agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "2s");
    await servedWithoutRules(agent, "lock");
    await rmdir(lock());
    await readyWithRules(agent);
  });
});
