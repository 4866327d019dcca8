import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { occupiedMetricsPort, reachable } from "../../../../src/commands/diagnosis/metrics-port.ts";
import { parseAddress } from "../../../../src/model/address.ts";

const reader = { listener: async () => "kube-proxy (process 9)" };

async function bound(status: number, body: string) {
  const server = createServer((_request, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo; // it listens
  return bindAt(port);
}

function bindAt(port: number, text = "127.0.0.1") {
  const address = parseAddress(text);
  if (address === undefined) throw new Error("not an address");
  return { address, port };
}

test.each([
  ["an agent", 200, "# HELP\nkube_ipvs_build_info 1\n", undefined],
  ["kube-proxy", 200, "kubeproxy_sync_proxy_rules_iptables_total 1\n", "kube-proxy (process 9)"],
  ["something else", 404, "not found", "kube-proxy (process 9)"],
  ["a server that refuses", 401, "", undefined],
])("%s answers at the port of the metrics", async (_who, status, body, owner) => {
  const bind = await bound(status, body);
  const found = await occupiedMetricsPort({ metricsBindAddress: bind, metricsCertFile: "" }, reader);
  expect(found).toEqual(owner === undefined ? undefined : { address: `127.0.0.1:${bind.port}`, owner });
});

test("a port at which nothing answers is free", async () => {
  const config = { metricsBindAddress: bindAt(1), metricsCertFile: "" };
  expect(await occupiedMetricsPort(config, reader)).toBeUndefined();
  expect(await occupiedMetricsPort({ ...config, metricsBindAddress: undefined }, reader)).toBeUndefined();
});

test.each([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
  ["192.168.1.1", "192.168.1.1"],
])("a server that listens at %s is reached at %s", (address, host) => {
  expect(reachable(bindAt(10_249, address))).toEqual({ host, port: 10_249 });
});
