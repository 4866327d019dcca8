import { join } from "node:path";
import { Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { RestClientMetrics } from "../../../../src/serve/metrics/rest-client-metrics.ts";
import { ApiServerConfig } from "../../../../src/sources/api/access/kubeconfig.ts";
import { ApiTransport } from "../../../../src/sources/api/transport/api-transport.ts";
import { ApiModel } from "../../../support/api/api-model.ts";
import { ApiServer } from "../../../support/api/api-server.ts";
import { bodyText } from "../../../support/api/body-text.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";
import { apiService } from "../../../support/api/worlds/reported-cluster.ts";
import { SILENT_LOGGER } from "../../../support/api/worlds/silent-logger.ts";
import { TestAccess } from "../../../support/api/worlds/test-access.ts";
import { folderOf, kubeconfigText } from "../../../support/objects/kubeconfigs.ts";

const SERVICES = "/api/v1/services";
const EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events";
const never = new AbortController().signal;

/** The metrics of a transport to a server on a real socket. `value` is that of a sample by its exposed text. */
async function measured() {
  const clock = new HandClock();
  const model = new ApiModel(clock);
  const server = await ApiServer.start(model);
  onTestFinished(() => server.close());
  const access = new TestAccess(server.url);
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const registry = new Registry();
  const requests = new RestClientMetrics(registry, clock);
  const transport = new ApiTransport(access, { clock, logger: SILENT_LOGGER, signal: stop.signal, requests });
  const host = new URL(server.url).host;
  const value = async (series: string) => {
    const line = (await registry.metrics()).split("\n").find((text) => text.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  return { clock, model, server, access, requests, transport, host, value };
}

test("requests are 0 for every method and class of codes before the first", async () => {
  const { host, value } = await measured();
  for (const method of ["GET", "POST", "PATCH"]) {
    for (const code of ["200", "304", "404", "500", "<error>"])
      expect(await value(`rest_client_requests_total{code="${code}",method="${method}",host="${host}"}`)).toBe(0);
    for (const name of ["request_duration_seconds", "rate_limiter_duration_seconds", "response_size_bytes"])
      expect(await value(`rest_client_${name}_count{verb="${method}",host="${host}"}`)).toBe(0);
  }
  // +Inf, which is no number of JavaScript.
  expect(await value("rest_client_exec_plugin_ttl_seconds")).toBeNaN();
});

test("a request is counted by code, method and host, with the sizes of its body and of the response", async () => {
  const { model, transport, host, value } = await measured();
  model.store.put(SERVICES, apiService("a", 1));
  const text = await bodyText((await transport.get(SERVICES, never)).body);
  const body = JSON.stringify({ text: "é" });
  const sent = { method: "PATCH" as const, path: `${EVENTS}/a`, contentType: "application/merge-patch+json", body };
  await bodyText((await transport.send(sent, never)).body);
  expect(await value(`rest_client_requests_total{code="200",method="GET",host="${host}"}`)).toBe(1);
  expect(await value(`rest_client_requests_total{code="404",method="PATCH",host="${host}"}`)).toBe(1);
  expect(await value(`rest_client_request_size_bytes_sum{verb="PATCH",host="${host}"}`)).toBe(Buffer.byteLength(body));
  expect(await value(`rest_client_response_size_bytes_sum{verb="GET",host="${host}"}`)).toBe(Buffer.byteLength(text));
  expect(await value(`rest_client_request_duration_seconds_count{verb="GET",host="${host}"}`)).toBe(1);
  expect(await value("kube_ipvs_api_server_reachable")).toBe(1);
  expect(await value('rest_client_transport_create_calls_total{result="miss"}')).toBe(1);
  expect(await value('rest_client_transport_create_calls_total{result="hit"}')).toBe(1);
  expect(await value("rest_client_transport_cache_entries")).toBe(1);
});

test("a watch is a request, and its body has no size", async () => {
  const { model, transport, host, value } = await measured();
  const { body } = await transport.get(`${SERVICES}?watch=true&resourceVersion=100&timeoutSeconds=600`, never);
  model.endWatches("end");
  await bodyText(body);
  expect(await value(`rest_client_requests_total{code="200",method="GET",host="${host}"}`)).toBe(1);
  expect(await value(`rest_client_response_size_bytes_count{verb="GET",host="${host}"}`)).toBe(0);
});

test("a request to a server that cannot be reached has the code <error>", async () => {
  const { server, transport, host, value } = await measured();
  await server.close();
  await expect(transport.get(SERVICES, never)).rejects.toThrow();
  expect(await value("kube_ipvs_api_server_reachable")).toBe(0);
  expect(await value(`rest_client_requests_total{code="<error>",method="GET",host="${host}"}`)).toBe(1);
});

test("a request that is sent again with a new token is counted twice, and once as a retry", async () => {
  const { model, access, transport, host, value } = await measured();
  model.behaviour.tokens = new Map([["new", "kube-ipvs"]]);
  Object.assign(access, { token: "old", nextToken: "new" });
  expect((await transport.get(SERVICES, never)).status).toBe(200);
  const count = (code: string) => value(`rest_client_requests_total{code="${code}",method="GET",host="${host}"}`);
  expect([await count("401"), await count("200")]).toEqual([1, 1]);
  expect(await value(`rest_client_request_retries_total{code="401",verb="GET",host="${host}"}`)).toBe(1);
});

test("the certificate of the exec plugin has a time to live, and an age when it is replaced", async () => {
  const { clock, requests, value } = await measured();
  const nowMs = clock.date().getTime();
  requests.pluginCertificateIs(nowMs - 60_000, nowMs + 90_000);
  requests.pluginEnded("plugin_execution_error", 3);
  expect(await value("rest_client_exec_plugin_ttl_seconds")).toBe(90);
  expect(await value("rest_client_exec_plugin_certificate_rotation_age_count")).toBe(0);
  await clock.advance(40_000);
  requests.pluginCertificateIs(nowMs, nowMs + 600_000);
  expect(await value("rest_client_exec_plugin_certificate_rotation_age_sum")).toBe(100);
  const failed = 'rest_client_exec_plugin_call_total{code="3",call_status="plugin_execution_error"}';
  expect(await value(failed)).toBe(1);
});

test.each([
  ["a plugin that fails", "#!/bin/sh\nexit 3\n", '{code="3",call_status="plugin_execution_error"}'],
  ["a plugin that does not exist", "", '{code="1",call_status="plugin_not_found_error"}'],
  [
    "a plugin that returns a token",
    '#!/bin/sh\necho \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}\'\n',
    '{code="0",call_status="no_error"}',
  ],
])("%s is counted with its exit code and result", async (_, script, labels) => {
  const { clock, requests, value } = await measured();
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "./plugin",
    interactiveMode: "Never",
  };
  const text = kubeconfigText({ user: { exec } });
  const folder = await folderOf({ config: text, ...(script === "" ? {} : { plugin: script }) });
  const access = { kubeconfig: join(folder, "config"), servers: [], root: "", env: process.env };
  const parts = { clock, random: () => 0, logger: SILENT_LOGGER, signal: never, requests };
  const config = await ApiServerConfig.load(access, parts);
  await config.credentials(never).catch(() => {});
  expect(await value(`rest_client_exec_plugin_call_total${labels}`)).toBe(1);
});
