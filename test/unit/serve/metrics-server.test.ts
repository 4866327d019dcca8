import { setImmediate as nextTurn } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { afterEach, describe, expect, test } from "vitest";
import type { AccessControl } from "../../../src/serve/access/access-control.ts";
import { httpServer, PLAIN } from "../../../src/serve/http-server.ts";
import { SliMetrics } from "../../../src/serve/metrics/sli-metrics.ts";
import { serveMetrics } from "../../../src/serve/metrics-server.ts";

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close();
});

function serverOf(registry: Registry, access?: Pick<AccessControl, "refusal">, more = "") {
  const statusPage = (paths: readonly string[]) => `status of ${paths.length} paths, with ${paths[0]}\n`;
  const flagsPage = () => "v=0\n";
  const configuration = () => ({ kind: "KubeProxyConfiguration" });
  const server = httpServer();
  const traffic = { text: async () => more };
  const slis = new SliMetrics(registry);
  serveMetrics(server, { registry, traffic, slis, statusPage, flagsPage, configuration, access });
  opened.push(server);
  return server;
}

test("the traffic of Services follows the other metrics", async () => {
  const registry = new Registry();
  new Gauge({ name: "answer", help: "The answer.", registers: [registry] }).set(42);
  const { body } = await serverOf(registry, undefined, "\nmore 7\n").inject({ url: "/metrics" });
  expect(body).toMatch(/^answer 42\n\nmore 7\n$/m);
});

function answering() {
  const registry = new Registry();
  new Gauge({ name: "answer", help: "The answer.", registers: [registry] }).set(42);
  return serverOf(registry);
}

const VERBOSE = "[+]ping ok\nhealthz check passed\n";

test.each([
  ["/proxyMode", "ipvs"],
  ["/healthz", "ok"],
  ["/healthz?exclude=ping", "ok"],
  ["/healthz?verbose", VERBOSE],
  ["/healthz?verbose=0", VERBOSE],
  ["/healthz?verbose&exclude=ping", "[+]ping excluded: ok\nhealthz check passed\n"],
  [
    "/healthz?verbose&exclude=a&exclude=b",
    '[+]ping ok\nwarn: some health checks cannot be excluded: no matches for "a", "b"\nhealthz check passed\n',
  ],
  ["/healthz/ping", "ok"],
  ["/statusz", "status of 8 paths, with /configz\n"],
  ["/flagz", "v=0\n"],
])("%s is answered with exactly %j", async (url, body) => {
  const response = await answering().inject({ url });
  expect(response.statusCode).toBe(200);
  expect(response.headers["content-type"]).toBe("text/plain; charset=utf-8");
  expect(response.headers["x-content-type-options"]).toBe("nosniff");
  expect(response.body).toBe(body);
});

test("/configz is the configuration in JSON, below its API group", async () => {
  const { statusCode, headers, body } = await answering().inject({ url: "/configz" });
  expect([statusCode, body]).toEqual([200, '{"kubeproxy.config.k8s.io":{"kind":"KubeProxyConfiguration"}}']);
  expect(headers).toMatchObject({ "content-type": "application/json", "x-content-type-options": "nosniff" });
});

const ANSWER = "# HELP answer The answer.\n# TYPE answer gauge\nanswer 42\n";

test("/metrics answers with the registry in Prometheus' text format", async () => {
  const response = await answering().inject({ url: "/metrics" });
  expect(response.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(response.body).toBe(ANSWER);
});

test.each([
  ["gzip", true],
  ["deflate, gzip;q=1.0, *;q=0.5", true],
  ["*", true],
  ["gzip;q=0", false],
  ["gzip;q=0.0", false],
  ["identity", false],
  ["", false],
])("Accept-Encoding %j: /metrics is compressed: %s", async (encoding, isCompressed) => {
  const { headers, rawPayload } = await answering().inject({
    url: "/metrics",
    headers: { "accept-encoding": encoding },
  });
  expect(headers["content-encoding"]).toBe(isCompressed ? "gzip" : undefined);
  expect(String(isCompressed ? gunzipSync(rawPayload) : rawPayload)).toBe(ANSWER);
});

test.each(["", "gzip"])(
  "scrapes at one time share one rendering, and a later scrape has its own: %j",
  async (encoding) => {
    const registry = new Registry();
    let renderings = 0;
    new Gauge({
      name: "renderings",
      help: "So many.",
      registers: [registry],
      async collect() {
        await nextTurn();
        this.set(++renderings);
      },
    });
    const server = serverOf(registry);
    const bodies = async (count: number) => {
      const request = { url: "/metrics", headers: { "accept-encoding": encoding } };
      const scrapes = await Promise.all(Array.from({ length: count }, () => server.inject(request)));
      return scrapes.map(
        ({ rawPayload }) => String(encoding === "gzip" ? gunzipSync(rawPayload) : rawPayload).split("\n")[2],
      );
    };
    expect(new Set(await bodies(50))).toEqual(new Set(["renderings 1"]));
    expect(await bodies(1)).toEqual(["renderings 2"]);
  },
);

test("/metrics/slis counts the runs of /healthz, and DELETE resets them", async () => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const server = serverOf(registry);
  const lines = async () =>
    (await server.inject({ url: "/metrics/slis" })).body.split("\n").filter((line) => /^[^#]/.test(line));
  await server.inject({ url: "/healthz" });
  await server.inject({ url: "/healthz" });
  expect(await lines()).toEqual([
    'kubernetes_healthcheck{name="ping",type="healthz"} 1',
    'kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} 2',
    expect.stringMatching(/^process_start_time_seconds \d+/),
  ]);
  const reset = await server.inject({ method: "DELETE", url: "/metrics/slis" });
  expect([reset.statusCode, reset.body]).toEqual([200, "metrics reset\n"]);
  expect(await lines()).toEqual([expect.stringMatching(/^process_start_time_seconds/)]);
});

test.each(["/livez", "/state", "/debug/pprof", "/debug/flags/v", "/metrics/", "/"])(
  "%s is answered with 404",
  async (url) => {
    const response = await answering().inject({ url });
    expect([response.statusCode, response.body]).toEqual([404, "404 page not found\n"]);
  },
);

describe("with access control", () => {
  const answerTo = async (request: { readonly url: string; readonly method?: "GET" | "POST" | "HEAD" }) => {
    const asked: object[] = [];
    const registry = new Registry();
    const server = serverOf(registry, {
      refusal: async (one) => {
        asked.push(one);
        return one.authorization === "Bearer good" ? undefined : { status: 403, headers: PLAIN, body: "no\n" };
      },
    });
    const { statusCode, body } = await server.inject({ headers: { authorization: "Bearer bad" }, ...request });
    const allowed = await server.inject({ headers: { authorization: "Bearer good" }, ...request });
    return { refused: [statusCode, body], allowed: allowed.statusCode, asked };
  };

  test.each([
    ["/metrics", 200],
    ["/metrics/slis", 200],
    ["/proxyMode", 200],
    ["/healthz", 200],
    ["/statusz", 200],
    ["/flagz", 200],
    ["/configz", 200],
    ["/nothing", 404],
  ])("%s is refused with the given response, or answered with %d", async (url, status) => {
    const { refused, allowed, asked } = await answerTo({ url: `${url}?a=b` });
    expect([refused, allowed]).toEqual([[403, "no\n"], status]);
    expect(asked).toEqual(
      ["Bearer bad", "Bearer good"].map((authorization) => ({ authorization, method: "GET", path: url })),
    );
  });

  test("a request without a token is refused too", async () => {
    const server = serverOf(new Registry(), { refusal: async () => ({ status: 401, headers: PLAIN, body: "" }) });
    expect((await server.inject({ method: "POST", url: "/metrics" })).statusCode).toBe(401);
  });
});
