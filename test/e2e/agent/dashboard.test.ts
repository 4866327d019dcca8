import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { AgentProcess } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { nodeObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { graph, type Line } from "../../support/packaging/chart.ts";
import { Prometheus } from "../../support/prometheus/prometheus.ts";
import { isMissing } from "../../support/run/missing.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
  readonly targets?: readonly { readonly legendFormat: string; readonly expr: string }[];
}

const FILE = new URL("../../../manifests/components/monitoring/objects/kube-ipvs-dashboard.json", import.meta.url);
const { panels }: { readonly panels: readonly Panel[] } = JSON.parse(readFileSync(FILE, "utf8"));
const queries = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ legendFormat, expr }) => [`${title}: ${legendFormat}`, expr] as const),
);

/** The panels that are drawn as pictures, for the README. */
const PICTURES = ["Objects in the kernel", "Changes", "Sync", "Memory", "Connections by Service"];
const FOLDER = ".cache/dashboard";

/** As Grafana replaces the variables when everything is selected. */
function replaced(expression: string): string {
  const values: Readonly<Record<string, string>> = {
    $cluster: ".*",
    $node: ".*",
    $service: ".*",
    $__rate_interval: "30s",
  };
  return expression.replace(/\$\w+/g, (name) => values[name] ?? name);
}

/** The dashboard, whose queries a real Prometheus evaluates that scrapes an agent under traffic. */
describe.skipIf(isMissing("prometheus"))("the dashboard", () => {
  let node: TestNode;
  let plane: ControlPlane;
  let agent: AgentProcess;
  let prometheus: Prometheus;

  beforeAll(async () => {
    node = await TestNode.create({ pods: ["a", "b", "c"] });
    plane = await ControlPlane.create(node);
    plane.put(
      nodeObject(node.name, { ips: [node.node.ip, node.node.ip6] }),
      serviceObject("shop/web", { ip: "10.96.8.1" }),
      serviceObject("shop/counted", { ip: "10.96.8.2" }),
      sliceObject("shop/counted-1", { endpoints: [node.pod("b").ip] }),
    );
    change("a");
    agent = AgentProcess.start(node, plane, "--service-traffic-metrics=50", "--virtual-server-info");
    await agent.ready();
    const target = "127.0.0.1:10249";
    const labels = { cluster: "test", node: node.name };
    prometheus = await Prometheus.start(node.node, target, { static_configs: [{ targets: [target], labels }] });
    await eventually(async () => expect(await prometheus.query('up{job="kube-proxy"} == 1')).toHaveLength(1));
  }, patient(120_000));

  afterAll(async () => {
    await prometheus?.[Symbol.asyncDispose]();
    await agent?.[Symbol.asyncDispose]();
    await plane?.[Symbol.asyncDispose]();
    await node?.[Symbol.asyncDispose]();
  });

  /** Changes the endpoints now, so that the agent programs them. */
  function change(...pods: readonly string[]): void {
    const annotations = { "endpoints.kubernetes.io/last-change-trigger-time": new Date().toISOString() };
    plane.put(sliceObject("shop/web-1", { endpoints: pods.map((pod) => node.pod(pod).ip), annotations }));
  }

  test("is tried with all of its queries", () => {
    expect(queries.length).toBeGreaterThan(40);
  });

  test.each(queries)('the query "%s" has data', async (_, expression) => {
    let turn = 0;
    await eventually(
      async () => {
        turn++;
        change(...(turn % 2 === 0 ? ["a"] : ["a", "b"]));
        const { answers } = await node.client(node.pod("c")).tcp("10.96.8.1", 80, 3);
        expect(answers).not.toEqual({});
        const samples = await prometheus.query(replaced(expression));
        expect(samples.length).toBeGreaterThan(0);
        expect(samples.filter(({ value }) => !Number.isFinite(value))).toEqual([]);
      },
      { withinMs: 60_000, everyMs: 500 },
    );
  });

  test("the traffic of a Service is what its clients make, and its virtual server has its name", async () => {
    const { answers } = await node.client(node.pod("c")).tcp("10.96.8.2", 80, 20);
    expect(answers).toEqual({ b: 20 });
    const labels = 'namespace="shop",service="counted",port="80"';
    const value = async (metric: string) => (await prometheus.query(`${metric}{${labels}}`))[0]?.value;
    await eventually(async () => expect(await value("kube_ipvs_service_connections_total")).toBe(20));
    expect(await value("kube_ipvs_service_incoming_packets_total")).toBeGreaterThanOrEqual(60);
    expect(await value("kube_ipvs_service_outgoing_bytes_total")).toBeGreaterThan(1_000);
    const at = 'local_address="10.96.8.2",local_port="80",proto="TCP"';
    expect(await prometheus.query(`kube_ipvs_virtual_server_info{${labels},${at}}`)).toHaveLength(1);
  });

  /** The lines of a graph over the time of this test, as Grafana asks for them. */
  async function linesOf(legend: string, expression: string): Promise<readonly Line[]> {
    const now = Date.now() / 1_000;
    const parameters = { query: replaced(expression), start: `${now - 60}`, end: `${now}`, step: "1" };
    const data = Object.entries(parameters).flatMap(([name, value]) => ["--data-urlencode", `${name}=${value}`]);
    const url = "http://127.0.0.1:9090/api/v1/query_range";
    const answer = JSON.parse(await node.node.namespace.output(["curl", "--silent", "--get", ...data, url]));
    // The form of a matrix in the HTTP API of Prometheus.
    const result: readonly { metric: Record<string, string>; values: [number, string][] }[] = answer.data.result;
    return result.map(({ metric, values }) => ({
      name: legend.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ""),
      points: values.map(([time, value]): [number, number] => [time, Number(value)]),
    }));
  }

  test.each(PICTURES)("the panel %s can be drawn from its data", async (title) => {
    const panel = panels.find((one) => one.title === title);
    const lines = await Promise.all(
      (panel?.targets ?? []).map(({ legendFormat, expr }) => linesOf(legendFormat, expr)),
    );
    const picture = graph(title, panel?.fieldConfig?.defaults.unit ?? "", lines.flat());
    expect(picture.match(/<path [^>]*stroke-width="2"/g)?.length).toBeGreaterThanOrEqual(lines.flat().length);
    await mkdir(FOLDER, { recursive: true });
    await writeFile(join(FOLDER, `${title.toLowerCase().replaceAll(" ", "-")}.svg`), picture);
  });
});
