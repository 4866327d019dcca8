import { Registry } from "prom-client";
import { afterEach, expect, test } from "vitest";
import type { Agent } from "../../../src/agent.ts";
import { type ServeDependencies, serve } from "../../../src/commands/serve.ts";
import { readConfig } from "../../../src/config/config.ts";
import { logLines } from "../../support/objects/log-lines.ts";
import { eventually } from "../../support/time/eventually.ts";

const ended: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

/** The URL of a metrics server with or without the source of a status page. */
async function metricsServer(page: ServeDependencies["page"]): Promise<string> {
  const text = (value: string) => ({ source: "test", text: value });
  const { config } = readConfig({ nodeName: text("n1"), stateSocket: text(""), disabledServers: text("healthz") });
  const stop = new AbortController();
  const lines: string[] = [];
  const running = serve(
    { ...config, metricsBindAddress: config.metricsBindAddress && { ...config.metricsBindAddress, port: 0 } },
    {
      configuration: () => ({ effective: {}, flags: {} }),
      registry: new Registry(),
      traffic: undefined,
      // Only the health server, which is disabled, asks it.
      agent: {} as Agent,
      state: {
        status: () => ({ json: {}, text: "fine\n" }),
        services: () => [],
        service: async () => undefined,
      },
      logTail: () => [],
      page,
      recordEvent: () => undefined,
      create: async () => undefined,
      logger: logLines(lines),
      signal: stop.signal,
    },
  );
  ended.push(async () => {
    stop.abort();
    await running;
  });
  return await eventually(() => {
    const [, url] = /"address":"(http:[^"]+)"/.exec(lines.join()) ?? [];
    if (url === undefined) throw new Error("not listening");
    return url;
  });
}

test("without its setting there is no status page", async () => {
  const url = await metricsServer(undefined);
  expect((await fetch(`${url}/status`)).status).toBe(200);
  for (const path of ["/ui", "/ui/", "/ui/events"]) expect((await fetch(`${url}${path}`)).status).toBe(404);
});

test("with its setting the metrics server has the status page, and its events end with the server", async () => {
  const url = await metricsServer({ read: async () => ({ overview: { is: "read" } }), release: () => undefined });
  // The sources have no built page beside them.
  expect((await fetch(`${url}/ui`)).status).toBe(503);
  const events = await fetch(`${url}/ui/events`);
  expect(events.headers.get("content-type")).toBe("text/event-stream");
  const text = events.text().catch(() => "ended");
  for (const end of ended.splice(0)) await end();
  expect(await text).toMatch(/ended|event: end/);
});
