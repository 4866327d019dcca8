import { expect, test } from "vitest";
import type { ServicePortName } from "../../../../../src/model/cluster/service.ts";
import { markedServerKey, type VirtualServerKey, virtualServerKey } from "../../../../../src/model/kernel/ipvs.ts";
import { KernelError } from "../../../../../src/model/kernel/kernel-error.ts";
import { NO_TRAFFIC, type TrafficCounts } from "../../../../../src/model/kernel/traffic.ts";
import { ServiceTraffic } from "../../../../../src/serve/metrics/traffic/service-traffic.ts";
import { HandClock } from "../../../../support/api/worlds/hand-clock.ts";
import { address } from "../../../../support/objects/desired.ts";
import { logLines } from "../../../../support/objects/log-lines.ts";

class NoAnswer extends KernelError {}

/** A kernel with these virtual servers, each of the Service of its name, until the test changes it. */
async function world(limit: number, showsServers = false) {
  const clock = new HandClock();
  const agent = { isReady: true };
  const kernel = { counts: new Map<VirtualServerKey, TrafficCounts>(), fails: false };
  const desired = new Map<VirtualServerKey, ServicePortName>();
  const seen = { reads: [] as number[], turns: 0, durations: [] as number[], log: [] as string[] };
  const traffic = new ServiceTraffic(
    { limit, showsServers },
    {
      servers: () => (agent.isReady ? Array.from(desired, ([key, port]) => ({ key, port })) : undefined),
      read: async (keys) => {
        seen.reads.push(keys.size);
        if (kernel.fails) throw new NoAnswer("the kernel did not answer");
        return new Map([...kernel.counts].filter(([key]) => keys.has(key)));
      },
      clock,
      logger: logLines(seen.log),
      nextTurn: async () => void seen.turns++,
      onRead: (durationMs) => seen.durations.push(durationMs),
    },
  );
  const add = (service: string, key: VirtualServerKey, connections = 1) => {
    desired.set(key, { namespace: "shop", service, port: "http" });
    kernel.counts.set(key, { ...NO_TRAFFIC, connections });
  };
  const samples = async () => (await traffic.text()).split("\n").filter((line) => !/^(#|$)/.test(line));
  // The first reading, of an empty kernel.
  await traffic.text();
  await clock.advance(5_000);
  seen.durations = [];
  return { agent, clock, kernel, desired, seen, traffic, add, samples };
}

const vip = (last: number) => virtualServerKey("TCP", address(`10.96.${last >> 8}.${last & 255}`), 80);

test("each port has a sample of each counter, below the head of its metric", async () => {
  const { traffic, add } = await world(Number.POSITIVE_INFINITY);
  add("web", vip(1), 7);
  const text = await traffic.text();
  expect(text).toContain(
    '# TYPE kube_ipvs_service_connections_total counter\nkube_ipvs_service_connections_total{namespace="shop",service="web",port="http"} 7\n',
  );
  expect(text.match(/^# HELP/gm)).toHaveLength(5);
  expect(text.match(/^kube_ipvs_service_\w+_total\{/gm)).toHaveLength(5);
});

test("the virtual servers of ports with totals have the labels of node_exporter", async () => {
  const { add, samples } = await world(1, true);
  add("web", vip(1), 7);
  add("web", markedServerKey("IPv4", 0x1005), 0);
  add("web", virtualServerKey("UDP", address("fd00::1"), 53), 0);
  add("idle", vip(2), 0);
  const owner = 'namespace="shop",service="web",port="http"';
  expect((await samples()).filter((line) => line.startsWith("kube_ipvs_virtual_server_info"))).toEqual([
    `kube_ipvs_virtual_server_info{${owner},local_address="10.96.0.1",local_port="80",proto="TCP",local_mark=""} 1`,
    `kube_ipvs_virtual_server_info{${owner},local_address="",local_port="0",proto="FWM",local_mark="00001005"} 1`,
    `kube_ipvs_virtual_server_info{${owner},local_address="fd00::1",local_port="53",proto="UDP",local_mark=""} 1`,
  ]);
});

test("nothing is read before the virtual servers are programmed", async () => {
  const { agent, clock, kernel, seen, add, samples } = await world(Number.POSITIVE_INFINITY);
  agent.isReady = false;
  add("web", vip(1), 7);
  expect([await samples(), seen.reads]).toEqual([[], []]);
  agent.isReady = true;
  await clock.advance(1);
  kernel.counts.set(vip(1), { ...NO_TRAFFIC, connections: 8 });
  expect(await samples()).toHaveLength(5);
});

test("requests at the same time, and within five seconds, share a reading", async () => {
  const { clock, seen, traffic, add } = await world(Number.POSITIVE_INFINITY);
  add("web", vip(1));
  await Promise.all([traffic.text(), traffic.text()]);
  await clock.advance(4_999);
  await traffic.text();
  expect(seen.reads).toEqual([1]);
  await clock.advance(1);
  await traffic.text();
  expect([seen.reads, seen.durations]).toEqual([
    [1, 1],
    [0, 0],
  ]);
});

test("a reading that fails leaves the totals as they are, and is logged once until one succeeds", async () => {
  const { clock, kernel, seen, add, samples } = await world(Number.POSITIVE_INFINITY);
  add("web", vip(1), 7);
  const before = await samples();
  kernel.fails = true;
  for (let turn = 0; turn < 3; turn++) {
    await clock.advance(10_000);
    expect(await samples()).toEqual(before);
  }
  expect(seen.log).toHaveLength(1);
  kernel.fails = false;
  await clock.advance(10_000);
  await samples();
  kernel.fails = true;
  await clock.advance(10_000);
  await samples();
  expect(seen.log).toHaveLength(2);
});

test("a virtual server that drains is read, until it is deleted", async () => {
  const { clock, kernel, desired, seen, add, samples } = await world(Number.POSITIVE_INFINITY);
  add("web", vip(1), 7);
  await samples();
  desired.clear();
  kernel.counts.set(vip(1), { ...NO_TRAFFIC, connections: 9 });
  await clock.advance(10_000);
  expect(await samples()).toContain(
    'kube_ipvs_service_connections_total{namespace="shop",service="web",port="http"} 9',
  );
  kernel.counts.clear();
  for (let turn = 0; turn < 3; turn++) {
    await clock.advance(10_000);
    await samples();
  }
  expect(seen.reads).toEqual([1, 1, 1]);
});

test("2,000 ports are read and written in slices, with turns of the event loop between them", async () => {
  const { seen, add, samples } = await world(Number.POSITIVE_INFINITY, true);
  for (let number = 0; number < 2_000; number++) add(`s${number}`, vip(number));
  expect(await samples()).toHaveLength(12_000);
  expect(seen.turns).toBeGreaterThan(16);
  expect(seen.reads).toEqual(Array.from({ length: 20 }, () => 100));
});
