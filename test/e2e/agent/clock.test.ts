import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder, sumOf } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { mayClockBeSet, WallClock } from "../../support/node/wall-clock.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { LongClient } from "../../support/traffic/client.ts";

/** The wall clock of a serving node is set. Pods a, b and c serve; d is a client. */
describe.skipIf(!mayClockBeSet)("the wall clock of a node is set (where it is a guest's own)", () => {
  let node: TestNode;
  let manifests: ManifestFolder;
  let clock: WallClock;
  let agent: AgentProcess;

  beforeAll(async () => {
    manifests = await ManifestFolder.create();
    node = await TestNode.create({ pods: ["a", "b", "c", "d"] });
    clock = new WallClock(node);
    agent = AgentProcess.start(node, manifests, "--ipvs-sync-period", "1s");
    await agent.ready();
  });

  afterAll(async () => {
    await agent?.[Symbol.asyncDispose]();
    await clock?.[Symbol.asyncDispose]();
    await node?.[Symbol.asyncDispose]();
    await manifests?.[Symbol.asyncDispose]();
  });

  const put = (name: string, ip: string, pods: readonly string[]) =>
    manifests.put(`${name}.json`, [
      serviceObject(`shop/${name}`, { ip }),
      sliceObject(`shop/${name}-1`, { endpoints: pods.map((pod) => node.pod(pod).ip) }),
    ]);
  const servers = () => node.prints("ipvsadm -Sn");
  const real = (ip: string, pod: string) => `-t ${ip}:80 -r ${node.pod(pod).ip}:8080`;
  const mended = async () => sumOf(await agent.metrics(), /object="real-server",kind="missing"/);

  test.each([
    ["forward by 20 minutes", 1_200, "10.96.5.1"],
    ["back by 2 hours", -7_200, "10.96.5.2"],
    ["forward by 2 hours", 7_200, "10.96.5.3"],
  ])(
    "%s under load: changes are programmed, drift is repaired, no draining connection is cut",
    async (_, seconds, ip) => {
      const drained = ip.replace("10.96.5.", "10.96.6.");
      await put(`web-${ip}`, ip, ["a"]);
      await put(`old-${ip}`, drained, ["a"]);
      await eventually(async () => {
        expect(await servers()).toContain(`${real(ip, "a")} -m -w 1`);
        expect(await servers()).toContain(`${real(drained, "a")} -m -w 1`);
      });
      const load = await LongClient.loop(node.pod("d").namespace, ip, 80);
      const held = await LongClient.hold(node.pod("d").namespace, drained, 80);
      await put(`old-${ip}`, drained, ["b"]);
      await eventually(async () => expect(await servers()).toContain(`${real(drained, "a")} -m -w 0`));

      await clock.step(seconds);

      await put(`web-${ip}`, ip, ["a", "b", "c"]);
      await eventually(async () => expect(await servers()).toContain(`${real(ip, "c")} -m -w 1`));
      const before = await mended();
      await node.prints(`ipvsadm -d ${real(drained, "b")}`);
      await eventually(async () => expect(await mended()).toBeGreaterThan(before));
      await eventually(async () => expect(await servers()).toContain(`${real(drained, "b")} -m -w 1`));
      expect(await servers()).toContain(`${real(drained, "a")} -m -w 0`);
      await agent.ready();
      expect((await held.stop()).errors).toEqual({});
      expect((await load.stop()).errors).toEqual({});
    },
  );

  test("the shown times follow the wall clock", async () => {
    await clock.step(-86_400);
    const guestSeconds = async () => Number(await node.prints("date +%s"));
    const fromSeconds = await guestSeconds();
    await put("shown", "10.96.5.9", ["a"]);
    await eventually(async () => {
      const { status, body } = await agent.readyz();
      expect(status).toBe(200);
      const shown = Date.parse((JSON.parse(body) as { readonly currentTime: string }).currentTime) / 1000;
      expect(shown).toBeGreaterThanOrEqual(fromSeconds);
      expect(shown).toBeLessThanOrEqual((await guestSeconds()) + 1);
      const queued = sumOf(await agent.metrics(), /last_queued_timestamp_seconds\{ip_family="IPv4"\}/);
      expect(queued).toBeGreaterThanOrEqual(fromSeconds - 1);
      expect(queued).toBeLessThanOrEqual((await guestSeconds()) + 1);
    });
  });
});
