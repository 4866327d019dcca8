import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { serversByAddress, sourceOf } from "../../../src/commands/cluster-source.ts";
import { readConfig } from "../../../src/config/config.ts";
import { EventRecorder } from "../../../src/events/event-recorder.ts";
import { startEvent } from "../../../src/events/event-records.ts";
import type { EventRecord } from "../../../src/model/cluster/event-record.ts";
import { systemClock } from "../../../src/process/system-clock.ts";
import { SILENT_LOGGER } from "../../support/api/worlds/silent-logger.ts";
import { until } from "../../support/api/worlds/test-access.ts";
import { folderOf, kubeconfigText } from "../../support/objects/kubeconfigs.ts";

test("the address and port of API servers given by address are known", () => {
  const urls = ["https://192.168.1.2:6443", "https://[fd00::2]:6443", "https://api.example.com", "http://10.0.0.1"];
  const servers = serversByAddress([...urls, "https://10.0.0.2"]);
  expect(servers.map(({ address, port }) => `${address} ${port}`)).toEqual([
    "192.168.1.2 6443",
    "fd00::2 6443",
    "10.0.0.1 80",
    "10.0.0.2 443",
  ]);
});

test("readyz shows resources, one word of cause and the cure, not the stderr of a plugin", async () => {
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "./plugin" };
  const folder = await folderOf({
    plugin: "#!/bin/sh\necho 'SECRET' >&2; exit 1",
    config: kubeconfigText({ user: { exec } }),
  });
  const { config } = readConfig({
    nodeName: { source: "--node-name", text: "n1" },
    kubeconfig: { source: "--kubeconfig", text: join(folder, "config") },
  });
  const dependencies = { clock: systemClock, random: () => 0, logger: SILENT_LOGGER };
  const source = sourceOf(config, dependencies, new EventRecorder("n1", dependencies));
  const stop = new AbortController();
  const running = source.run({
    onEvent: () => {},
    onProblems: () => {},
    signal: stop.signal,
  });
  onTestFinished(async () => {
    stop.abort();
    await running;
  });
  await until(
    "all have failed",
    () => source.stats().length > 0 && source.stats().every(({ trouble }) => trouble !== ""),
  );
  expect(source.stats().map(({ trouble }) => trouble)).toEqual(Array(4).fill(expect.stringContaining("SECRET")));
  expect(source.missing()).toBe(
    "nodes, endpointslices, services, servicecidrs (no-credentials: check the token file, certificate or exec plugin that the log names)",
  );
});

test("manifests have no API server: no watch, no server and no Events", () => {
  const { config } = readConfig({
    nodeName: { source: "--node-name", text: "n1" },
    manifests: { source: "--manifests", text: "/manifests" },
  });
  const sent: EventRecord[] = [];
  const events = { record: (event: EventRecord) => void sent.push(event), run: async () => {} };
  const source = sourceOf(config, { clock: systemClock, random: () => 0, logger: SILENT_LOGGER }, events);
  source.record(startEvent("n1", "1.0.0"));
  expect([source.stats(), source.servers(), source.missing(), sent]).toEqual([[], [], 'manifests at "/manifests"', []]);
});
