import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { ALERTS, DASHBOARD } from "../../support/contract/mixin.ts";
import { AgentProcess } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { nodeObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { Prometheus } from "../../support/prometheus/prometheus.ts";
import { isMissing } from "../../support/run/missing.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/** The dashboard and the alerts of kubernetes-mixin for kube-proxy, evaluated by a real Prometheus that scrapes the agent. */
describe.skipIf(isMissing("prometheus"))("kubernetes-mixin", () => {
  let node: TestNode;
  let plane: ControlPlane;
  let agent: AgentProcess;
  let prometheus: Prometheus;

  beforeAll(async () => {
    node = await TestNode.create({ pods: ["a"] });
    plane = await ControlPlane.create(node);
    plane.put(
      nodeObject(node.name, { ips: [node.node.ip, node.node.ip6] }),
      serviceObject("shop/web", { ip: "10.96.8.1" }),
    );
    prometheus = await Prometheus.start(node.node, "127.0.0.1:10249");
    agent = AgentProcess.start(node, plane);
    await agent.ready();
    await eventually(async () => expect(await prometheus.query('up{job="kube-proxy"} == 1')).toHaveLength(1));
    // Its Event is a request of each kind after the first scrape: GET for the uid of the Service, and POST.
    plane.put(serviceObject("shop/bad", { ip: "10.96.8.2", externalIPs: ["nowhere"] }));
  }, patient(120_000));

  afterAll(async () => {
    await prometheus?.[Symbol.asyncDispose]();
    await agent?.[Symbol.asyncDispose]();
    await plane?.[Symbol.asyncDispose]();
    await node?.[Symbol.asyncDispose]();
  });

  /** Changes an endpoint now, so that the agent programs it. */
  function change(): void {
    const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": new Date().toISOString() };
    plane.put(sliceObject("shop/web-1", { endpoints: [node.pod("a").ip], annotations }));
  }

  test.each(DASHBOARD.map(({ name, expression }) => [name, expression] as const))(
    'the panel "%s" has data',
    async (_, expression) => {
      await eventually(
        async () => {
          change();
          const samples = await prometheus.query(expression);
          expect(samples.length).toBeGreaterThan(0);
          expect(samples.filter(({ value }) => Number.isNaN(value))).toEqual([]);
        },
        { withinMs: 60_000, everyMs: 1_000 },
      );
    },
  );

  test("the instances of the dashboard are those that the agent has", async () => {
    const selector = 'kubeproxy_network_programming_duration_seconds_bucket{cluster="test", job="kube-proxy"}';
    const samples = await prometheus.query(`count(${selector}) by (instance)`);
    expect(samples.map(({ labels }) => labels)).toEqual([{ instance: "127.0.0.1:10249" }]);
  });

  test("no alert fires while the agent runs, and each fires when it has ended", async () => {
    for (const { expression } of ALERTS) expect(await prometheus.query(expression)).toEqual([]);
    await agent[Symbol.asyncDispose]();
    for (const { expression } of ALERTS)
      await eventually(async () => expect(await prometheus.query(expression)).toHaveLength(1), { withinMs: 30_000 });
  });
});
