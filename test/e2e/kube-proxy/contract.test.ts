import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { type EndpointRow, WHILE_LEAVING, WHILE_SERVING } from "../../support/contract/endpoint-rows.ts";
import { ABSENT_EVENTS, EVENT_ROWS } from "../../support/contract/event-rows.ts";
import { Exposition } from "../../support/contract/exposition.ts";
import { METRIC_ROWS } from "../../support/contract/metric-rows.ts";
import { AgentProcess } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { nodeObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/** The endpoints, metrics and Events of kube-proxy, of the agent as a process before an API server. */
let node: TestNode;
let plane: ControlPlane;
let agent: AgentProcess;

const PORTS: Readonly<Record<EndpointRow["port"], number>> = {
  metrics: 10_249,
  healthz: 10_256,
  "health check": 32_198,
};
/** A port that another program has. */
const TAKEN_PORT = 32_199;

beforeAll(async () => {
  node = await TestNode.create({ pods: ["a"] });
  plane = await ControlPlane.create(node);
  plane.put(thisNode(), ...checked("checked", "10.96.7.1", PORTS["health check"], true));
  agent = AgentProcess.start(node, plane);
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await plane?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
});

function thisNode(...taints: readonly string[]): object {
  return nodeObject(node.name, { ips: [node.node.ip, node.node.ip6], taints });
}

/** A Service with a health check node port and one endpoint on this node. */
function checked(name: string, ip: string, port: number, ready: boolean): readonly object[] {
  const endpoints = [{ ip: node.pod("a").ip, node: node.name, ready }];
  return [
    serviceObject(`shop/${name}`, {
      ip,
      type: "LoadBalancer",
      external: "Local",
      healthCheckNodePort: port,
      ports: [{ port: 80, nodePort: port - 1000 }],
    }),
    sliceObject(`shop/${name}-1`, { endpoints }),
  ];
}

/** The response to a request on the node, by curl. */
async function ask({ port, method = "GET", path, accept = "" }: EndpointRow) {
  const host = port === "health check" ? node.node.ip : "127.0.0.1";
  const flags = ["--silent", "--include", "--request", method, ...(accept === "" ? [] : ["--compressed"])];
  const url = `http://${host}:${PORTS[port]}${path}`;
  const text = await node.node.namespace.output(["curl", ...flags, "--header", `Accept-Encoding: ${accept}`, url]);
  const [head = "", ...body] = text.split("\r\n\r\n");
  const [status = "", ...lines] = head.split("\r\n");
  const headers = lines.map((line) => [
    line.slice(0, line.indexOf(":")).toLowerCase(),
    line.slice(line.indexOf(":") + 2),
  ]);
  return { status: Number(status.split(" ")[1]), headers: Object.fromEntries(headers), body: body.join("\r\n\r\n") };
}

async function expectRow(row: EndpointRow): Promise<void> {
  const { status, headers, body } = await ask(row);
  expect(status).toBe(row.status);
  expect(headers).toMatchObject({
    "content-type": row.contentType,
    ...(row.nosniff === undefined ? {} : { "x-content-type-options": "nosniff" }),
    ...row.headers,
  });
  if (typeof row.body === "string") expect(body).toBe(row.body);
  else expect(body).toMatch(row.body);
}

const named = (rows: readonly EndpointRow[]) =>
  rows.map(
    (row) => [`${row.method ?? "GET"} ${row.path} of the ${row.port} server ${row.accept ?? ""}`.trim(), row] as const,
  );

describe("while the node serves", () => {
  test.each(named(WHILE_SERVING))("%s is answered as by kube-proxy", (_, row) => eventually(() => expectRow(row)));
});

describe("a scrape", () => {
  let scraped: Exposition;
  beforeAll(async () => {
    scraped = new Exposition(await agent.metricsText());
  });

  test.each(METRIC_ROWS.map((row) => [row.name, row] as const))("has %s as kube-proxy", (name, row) => {
    expect(scraped.type(name)).toBe(row.type);
    if (row.isLate && scraped.samples(name).length === 0) return;
    expect(scraped.labels(name)).toEqual(row.labels);
    expect(scraped.buckets(name)).toEqual(row.buckets ?? []);
    for (const [label, values] of Object.entries(row.values ?? {})) {
      const seen = new Set(scraped.samples(name).map(({ labels }) => labels[label]));
      expect(values.filter((value) => !seen.has(value))).toEqual([]);
    }
  });

  test("has no other metric with the prefix of kube-proxy or of its client", async () => {
    const known = new Set(METRIC_ROWS.map(({ name }) => name));
    const text = await agent.metricsText();
    const names = [...text.matchAll(/^# TYPE ((?:kubeproxy|rest_client|kubernetes|go)_\w+)/gm)].map(([, name]) => name);
    expect(names.filter((name) => !known.has(name ?? ""))).toEqual([]);
  });

  test("counts requests to the API server, syncs and probes", () => {
    const sum = (name: string, wanted: Readonly<Record<string, string>>) =>
      scraped
        .samples(name)
        .filter(({ labels }) => Object.entries(wanted).every(([label, value]) => labels[label] === value))
        .reduce((total, { value }) => total + Number(value), 0);
    expect(sum("rest_client_requests_total", { code: "200", method: "GET" })).toBeGreaterThanOrEqual(4);
    expect(sum("kubeproxy_proxy_healthz_total", { code: "200" })).toBeGreaterThan(0);
    expect(sum("kubeproxy_sync_proxy_rules_service_changes_total", {})).toBeGreaterThan(0);
    expect(Number(scraped.samples("kubeproxy_sync_proxy_rules_last_timestamp_seconds")[0]?.value)).toBeGreaterThan(0);
  });
});

describe("Events", () => {
  const reasons = () => [...plane.model.events.events.values()].map(({ reason }) => reason);

  beforeAll(async () => {
    const listen = `IO::Socket::INET->new(Listen => 5, LocalAddr => "0.0.0.0", LocalPort => ${TAKEN_PORT}, ReuseAddr => 1) or die; $| = 1; print "up\\n"; sleep`;
    const taker = node.node.namespace.start(["perl", "-MIO::Socket::INET", "-e", `my $l = ${listen}`]);
    await new Promise((resolve) => taker.stdout.once("data", resolve));
    plane.put(...checked("taken", "10.96.7.2", TAKEN_PORT, true));
    await agent.logged("cannot listen on health check port");
    const nowhere = ["--metrics-bind-address", "192.0.2.1:10249", "--healthz-bind-address", "192.0.2.1:10256"];
    await using other = AgentProcess.start(node, plane, ...nowhere);
    await other.logged("cannot listen", 2);
    // Before that agent ends.
    const written = ["FailedToStartProxierHealthcheck", "FailedToStartMetricServer"];
    await eventually(() => expect(reasons()).toEqual(expect.arrayContaining(written)), { withinMs: 60_000 });
  }, patient(120_000));

  test.each(EVENT_ROWS.map((row) => [row.reason, row] as const))(
    "%s has the reason, type and object of kube-proxy",
    async (reason, row) => {
      const event = await eventually(() => {
        const found = [...plane.model.events.events.values()].find((one) => one.reason === reason);
        expect(found).toBeDefined();
        return found;
      });
      expect(event).toMatchObject({
        type: row.type,
        action: row.action,
        reportingController: "kube-ipvs",
        reportingInstance: `kube-ipvs-${node.name}`,
        metadata: { namespace: row.namespace },
        regarding: { kind: row.regarding, name: row.regarding === "Node" ? node.name : "taken" },
        note: expect.stringMatching(row.note),
      });
    },
  );

  test.each(ABSENT_EVENTS)("%s is never written", (reason) => {
    expect(reasons()).not.toContain(reason);
  });
});

describe("while the node leaves the cluster and its endpoint is not ready", () => {
  beforeAll(() => {
    plane.put(
      thisNode("ToBeDeletedByClusterAutoscaler"),
      ...checked("checked", "10.96.7.1", PORTS["health check"], false),
    );
  });

  test.each(named(WHILE_LEAVING))("%s is answered as by kube-proxy", (_, row) => eventually(() => expectRow(row)));
});

test.each([
  ["--metrics-bind-address", PORTS.metrics, PORTS.healthz],
  ["--healthz-bind-address", PORTS.healthz, PORTS.metrics],
])("an empty %s switches that server off, and not the other one", async (flag, off, on) => {
  await agent[Symbol.asyncDispose]();
  const half = AgentProcess.start(node, plane, `${flag}=`);
  onTestFinished(() => half[Symbol.asyncDispose]());
  await half.logged("listening");
  const status = async (port: number) => (await node.client(node.node).get("127.0.0.1", port, "/healthz")).status;
  await eventually(async () => expect(await status(on)).not.toBe(0));
  expect(await status(off)).toBe(0);
});
