import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { HealthCheck, RefusedPort } from "../../../src/model/cluster/health-check.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { HealthCheckPorts } from "../../../src/serve/health-check-ports.ts";
import { SILENT_LOGGER } from "../../support/api/worlds/silent-logger.ts";
import { address } from "../../support/objects/desired.ts";
import { eventually } from "../../support/time/eventually.ts";

const LOCAL = "127.0.0.1";
const toClose: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of toClose.splice(0)) one.close();
});

/** Ports, a healthy proxy by default, and sleeps that the test ends. */
function setUp() {
  const world = { healthy: true, refused: [] as RefusedPort[], wake: () => {} };
  const ports = new HealthCheckPorts({
    clock: {
      sleep: (_ms, signal) =>
        new Promise((resolve) => {
          world.wake = resolve;
          signal.addEventListener("abort", () => resolve());
        }),
    },
    logger: SILENT_LOGGER,
    isHealthy: () => world.healthy,
    onRefused: (refused) => world.refused.push(refused),
  });
  toClose.push(ports);
  const listening = (count: number) => eventually(() => expect(ports.counts().listening).toBe(count));
  return { world, ports, listening };
}

/** A check of a Service at these addresses, with so many local endpoints. */
function check(name: string, port: number, counts: Readonly<Record<string, number>>): HealthCheck {
  const localEndpoints = new Map(Object.entries(counts).map(([ip, count]) => [address(ip), count]));
  return { service: serviceName("shop", name), port, localEndpoints };
}

/** A port that is not in use. */
async function freePort(): Promise<number> {
  const server = await occupy(0);
  const { port } = server.address() as AddressInfo; // of a TCP server
  server.close();
  return port;
}

async function occupy(port: number): Promise<Server> {
  const server = createServer().listen(port, LOCAL);
  toClose.push(server);
  await once(server, "listening");
  return server;
}

async function ask(port: number, { host = LOCAL, method = "GET", path = "/" } = {}) {
  const sent = request({ host, port, method, path, agent: false });
  sent.end();
  const [response] = await once(sent, "response");
  let body = "";
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode as number, headers: response.headers, body };
}

test("a Service with local endpoints gets 200, and the answer has kube-proxy's headers and bytes", async () => {
  const { ports, listening } = setUp();
  const port = await freePort();
  ports.update([check("web", port, { [LOCAL]: 2 })]);
  await listening(1);
  const { status, headers, body } = await ask(port);
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    "content-type": "application/json",
    "x-content-type-options": "nosniff",
    "x-load-balancing-endpoint-weight": "2",
  });
  expect(body).toBe(
    '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
  );
});

test.each(["GET", "POST", "DELETE", "HEAD"])("a %s of a load balancer is answered on any path", async (method) => {
  const { ports, listening } = setUp();
  const port = await freePort();
  ports.update([check("web", port, { [LOCAL]: 1 })]);
  await listening(1);
  expect((await ask(port, { method, path: "/any/path?at=all" })).status).toBe(200);
});

test("a load balancer gets 503 without local endpoints, or while the proxy is unhealthy; a change is answered at once", async () => {
  const { world, ports, listening } = setUp();
  const port = await freePort();
  ports.update([check("web", port, { [LOCAL]: 0 })]);
  await listening(1);
  expect(await ask(port)).toMatchObject({ status: 503, headers: { "x-load-balancing-endpoint-weight": "0" } });
  ports.update([check("web", port, { [LOCAL]: 1 })]);
  expect((await ask(port)).status).toBe(200);
  world.healthy = false;
  const { status, body } = await ask(port);
  expect([status, JSON.parse(body)]).toEqual([
    503,
    expect.objectContaining({ localEndpoints: 1, serviceProxyHealthy: false }),
  ]);
});

test("the port of each family listens separately and answers with its own count", async () => {
  const { ports, listening } = setUp();
  const port = await freePort();
  ports.update([check("web", port, { "0.0.0.0": 3, "::": 0 })]);
  await listening(2);
  expect((await ask(port)).status).toBe(200);
  expect((await ask(port, { host: "::1" })).status).toBe(503);
});

test("a removed check is closed with its connections, and its port is free for another Service at once", async () => {
  const { world, ports, listening } = setUp();
  const port = await freePort();
  ports.update([check("web", port, { [LOCAL]: 1 })]);
  await listening(1);
  const idle = connect(port, LOCAL);
  await once(idle, "connect");
  const closed = once(idle, "close");
  ports.update([check("cart", port, { [LOCAL]: 1 })]);
  await closed;
  await listening(1);
  expect(JSON.parse((await ask(port)).body).service.name).toBe("cart");
  expect(world.refused).toEqual([]);
  ports.update([]);
  await expect(ask(port)).rejects.toThrow("ECONNREFUSED");
});

test("a port in use is reported once, retried and delays no other", async () => {
  const { world, ports, listening } = setUp();
  const [taken, other] = [await freePort(), await freePort()];
  const occupier = await occupy(taken);
  ports.update([check("web", taken, { [LOCAL]: 1 }), check("cart", other, { [LOCAL]: 1 })]);
  await listening(1);
  expect((await ask(other)).status).toBe(200);
  await eventually(() => expect(world.refused).toHaveLength(1));
  expect(world.refused[0]).toMatchObject({
    service: "shop/web",
    port: taken,
    reason: expect.stringContaining("EADDRINUSE"),
  });
  expect(ports.counts()).toEqual({ listening: 1, refused: 1 });
  world.wake();
  await new Promise(setImmediate);
  occupier.close();
  await eventually(() => {
    world.wake();
    expect(ports.counts()).toEqual({ listening: 2, refused: 0 });
  });
  expect((await ask(taken)).status).toBe(200);
  expect(world.refused).toHaveLength(1);
});

test("a port that is removed before it could listen is not retried", async () => {
  const { world, ports } = setUp();
  const taken = await freePort();
  const occupier = await occupy(taken);
  ports.update([check("web", taken, { [LOCAL]: 1 })]);
  await eventually(() => expect(world.refused).toHaveLength(1));
  ports.update([]);
  occupier.close();
  world.wake();
  const later = await freePort();
  ports.update([check("late", later, { [LOCAL]: 1 })]);
  ports.update([]);
  await new Promise(setImmediate);
  await expect(ask(taken)).rejects.toThrow("ECONNREFUSED");
  await expect(ask(later)).rejects.toThrow("ECONNREFUSED");
  expect(ports.counts()).toEqual({ listening: 0, refused: 0 });
});

test("a check without an address to listen at is reported once until it has one", async () => {
  const { world, ports, listening } = setUp();
  const port = await freePort();
  ports.update([check("web", port, {})]);
  ports.update([check("web", port, {})]);
  expect(world.refused.map(({ reason }) => reason)).toEqual(["this node has no NodePort address"]);
  expect(ports.counts()).toEqual({ listening: 0, refused: 1 });
  ports.update([check("web", port, { [LOCAL]: 1 })]);
  await listening(1);
  expect(ports.counts()).toEqual({ listening: 1, refused: 0 });
});

test("pipelined requests are one on each connection, and the limit of connections is one for all ports", async () => {
  const { world, ports, listening } = setUp();
  const numbers = [await freePort(), await freePort(), await freePort(), await freePort(), await freePort()];
  ports.update(numbers.map((port, index) => check(`web-${index}`, port, { [LOCAL]: 1 })));
  await listening(5);
  let asked = 0;
  Object.defineProperty(world, "healthy", { get: () => ++asked > 0 });
  const pipelined = numbers.flatMap((port) => Array.from({ length: 4 }, () => connect(port, LOCAL).resume()));
  for (const client of pipelined) client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1800));
  await Promise.all(pipelined.map((client) => once(client, "close")));
  expect(asked).toBe(20);

  const idle = numbers.flatMap((port) => Array.from({ length: 40 }, () => connect(port, LOCAL)));
  for (const client of idle) toClose.push({ close: () => client.destroy() });
  await Promise.all(idle.map((client) => once(client, "connect")));
  expect((await ask(numbers[0] ?? 0)).status).toBe(200);
  await eventually(() => expect(idle.filter(({ readyState }) => readyState === "open").length).toBeLessThanOrEqual(64));
});
