import { afterAll, beforeAll, expect, test } from "vitest";
import { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { AgentProcess, sumOf } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";

/** Another program flushes IPVS, as another proxy does when it ends: the agent notices long before its next resync. */
const SERVICES = 1_000;
let node: TestNode;
let plane: ControlPlane;

const count = async () => Number(await node.prints("ipvsadm -Sn | grep -c '^-A' || true"));
const soon = (claim: () => void | Promise<void>) => eventually(claim, { withinMs: 40_000, everyMs: 100 });

beforeAll(async () => {
  node = await TestNode.create({ pods: ["a"] });
  plane = await ControlPlane.create(node);
  const objects = Array.from({ length: SERVICES }, (_, number) => [
    serviceObject(`shop/s${number}`, { ip: `10.96.${number >> 8}.${number & 255}` }),
    sliceObject(`shop/s${number}-1`, { endpoints: [node.pod("a").ip] }),
  ]);
  plane.put(...objects.flat());
});

afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
});

test("a flush of 1,000 virtual servers is repaired, counted, logged in words and told as one Event", async () => {
  // With this period a resync would come after an hour.
  await using agent = AgentProcess.start(node, plane, "--ipvs-sync-period", "1h");
  await agent.ready();
  await soon(async () => expect(await count()).toBe(SERVICES));
  const took: number[] = [];
  for (const _ of [1, 2]) {
    const began = performance.now();
    await node.prints("ipvsadm -C");
    await soon(async () => expect(await count()).toBe(SERVICES));
    took.push(Math.round(performance.now() - began));
  }
  process.stdout.write(`whole again after ${took.join(" and ")} ms\n`);
  expect(agent.log).toContain("another process flushed IPVS: all virtual servers were deleted and are added again");
  expect(sumOf(await agent.metrics(), /^kube_ipvs_external_changes_total\{kind="flush"\}/)).toBe(2);
  const flushes = () => [...plane.model.events.events.values()].filter(({ reason }) => reason === "IPVSFlushed");
  await soon(() => expect(flushes()).toHaveLength(1));
  expect(flushes()[0]?.note).toContain(
    `another program flushed IPVS: all virtual servers were deleted and are added again (${SERVICES} virtual servers missing)`,
  );
});

test("a single virtual server that another program deletes is told apart from a flush", async () => {
  await using agent = AgentProcess.start(node, plane, "--ipvs-sync-period", "2s");
  await agent.ready();
  await node.prints("ipvsadm -D -t 10.96.0.1:80");
  await soon(async () => expect(await count()).toBe(SERVICES));
  await soon(async () =>
    expect(sumOf(await agent.metrics(), /^kube_ipvs_external_changes_total\{kind="change"\}/)).toBeGreaterThan(0),
  );
  expect(agent.log).toContain("1 virtual server missing");
  expect(sumOf(await agent.metrics(), /^kube_ipvs_external_changes_total\{kind="flush"\}/)).toBe(0);
});
