import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/model/address.ts";
import { healthServer, listen } from "../../../src/serve/server.ts";

type Server = ReturnType<typeof healthServer>;

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close();
});

function opening<Closable extends { close(): unknown }>(server: Closable): Closable {
  opened.push(server);
  return server;
}

function health(status: 200 | 503 = 200) {
  const asked: string[] = [];
  const server = opening(
    healthServer((probe) => {
      asked.push(probe);
      return { status, body: `{"probe":"${probe}"}` };
    }),
  );
  return { server, asked };
}

describe("health server", () => {
  test.each(["healthz", "livez", "readyz"])("/%s answers with the exact text of the probe", async (probe) => {
    const { server, asked } = health(503);
    const response = await server.inject({ url: `/${probe}?verbose` });
    expect(response.statusCode).toBe(503);
    expect(response.headers["content-type"]).toBe("application/json");
    expect(response.headers["x-content-type-options"]).toBe("nosniff");
    expect(response.body).toBe(`{"probe":"${probe}"}`);
    expect(asked).toEqual([probe]);
  });

  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const)("%s is answered as GET", async (method) => {
    const response = await health().server.inject({ method, url: "/livez" });
    expect([response.statusCode, response.body]).toEqual([200, '{"probe":"livez"}']);
  });

  test.each(["application/json", "text/plain", "no/such-type"])("an invalid body of %s is ignored", async (type) => {
    const request = { method: "POST", url: "/livez", headers: { "content-type": type }, payload: "{" } as const;
    expect((await health().server.inject(request)).statusCode).toBe(200);
  });

  test("HEAD is answered with the status and no body", async () => {
    const { server, asked } = health(503);
    const response = await server.inject({ method: "HEAD", url: "/healthz" });
    expect([response.statusCode, response.body, asked]).toEqual([503, "", ["healthz"]]);
  });

  test.each(["/", "/healthz/", "/Healthz", "/healthz/ping", "/metrics"])("%s is answered with 404", async (url) => {
    const response = await health().server.inject({ url });
    expect([response.statusCode, response.body]).toEqual([404, "404 page not found\n"]);
  });
});

/** A log that keeps its lines, and a sleep that the test ends. */
function surroundings() {
  const lines: string[] = [];
  const sleeps: { ms: number; wake: () => void }[] = [];
  const line = (level: string) => (_fields: object, message: string) => void lines.push(`${level} ${message}`);
  const logger = { error: line("error"), warn: line("warn"), info: line("info"), debug: line("debug") };
  const slept = new EventTarget();
  const sleep = (ms: number, signal: AbortSignal) =>
    new Promise<void>((wake, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      sleeps.push({ ms, wake });
      slept.dispatchEvent(new Event("sleep"));
    });
  const controller = new AbortController();
  const failures: unknown[] = [];
  const onFailure = (error: unknown) => void failures.push(error);
  const options = { name: "health", logger, onFailure, sleep, signal: controller.signal };
  return { lines, sleeps, slept, failures, controller, options };
}

function address(text: string) {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

/** Where a server listens. */
function boundTo(server: Server): AddressInfo {
  const bound = server.server.address();
  if (bound === null || typeof bound === "string") throw new Error(`bound to ${bound}`);
  return bound;
}

async function status(host: string, port: number): Promise<number> {
  return (await fetch(`http://${host}:${port}/livez`)).status;
}

describe("listening", () => {
  const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some((bound) => bound.address === "::1"));

  test("a specific address is the only one listened on", async () => {
    const { server } = health();
    const { lines, options } = surroundings();
    await listen(server, { address: address("127.0.0.1"), port: 0 }, options);
    expect(boundTo(server).address).toBe("127.0.0.1");
    expect(await status("127.0.0.1", boundTo(server).port)).toBe(200);
    expect(lines).toEqual(["info listening"]);
  });

  test.each(["0.0.0.0", "::"])("%s listens on all available families", async (unspecified) => {
    const { server } = health();
    await listen(server, { address: address(unspecified), port: 0 }, surroundings().options);
    expect(await status("127.0.0.1", boundTo(server).port)).toBe(200);
    if (hasIPv6) expect(await status("[::1]", boundTo(server).port)).toBe(200);
  });

  test.each([
    ["0.0.0.0", ["::", "0.0.0.0"], "info listening"],
    ["10.0.0.1", ["10.0.0.1"], "info listening"],
    ["fd00::1", ["fd00::1"], "error cannot listen"],
  ])("in a kernel without IPv6 %s tries %j", async (text, hosts, outcome) => {
    const tried: string[] = [];
    const { lines, slept, controller, options } = surroundings();
    slept.addEventListener("sleep", () => controller.abort());
    const server = {
      listen: async ({ host }: { host: string }) => {
        tried.push(host);
        if (host.includes(":")) throw Object.assign(new Error("no IPv6"), { code: "EAFNOSUPPORT" });
        return `http://${host}`;
      },
    };
    await listen(server, { address: address(text), port: 80 }, options);
    expect([tried, lines]).toEqual([hosts, [outcome]]);
  });

  test("a port in use is retried every 5 s until it is free, and reported once", async () => {
    const predecessor = opening(createServer()).listen(0, "127.0.0.1");
    await once(predecessor, "listening");
    const { port } = predecessor.address() as AddressInfo;
    const { lines, sleeps, slept, failures, options } = surroundings();
    const { server } = health();

    const sleeping = () => once(slept, "sleep");
    let asleep = sleeping();
    const listening = listen(server, { address: address("127.0.0.1"), port }, options);
    await asleep;
    asleep = sleeping();
    sleeps[0]?.wake();
    await asleep;
    predecessor.close();
    await once(predecessor, "close");
    sleeps[1]?.wake();
    await listening;

    expect(sleeps.map(({ ms }) => ms)).toEqual([5000, 5000]);
    expect(lines).toEqual(["error cannot listen", "info listening"]);
    expect(failures).toMatchObject([{ code: "EADDRINUSE" }]);
    expect(await status("127.0.0.1", port)).toBe(200);
  });

  test("with hardFail the first failure is final, and reported", async () => {
    const predecessor = opening(createServer()).listen(0, "127.0.0.1");
    await once(predecessor, "listening");
    const { port } = predecessor.address() as AddressInfo;
    const { sleeps, failures, options } = surroundings();
    const listening = listen(health().server, { address: address("127.0.0.1"), port }, { ...options, hardFail: true });
    await expect(listening).rejects.toThrow(`Cannot listen on "127.0.0.1:${port}" for `);
    expect(sleeps).toEqual([]);
    expect(failures).toMatchObject([{ code: "EADDRINUSE" }]);
  });

  test("an abort ends the attempts without an error", async () => {
    const predecessor = opening(createServer()).listen(0, "127.0.0.1");
    await once(predecessor, "listening");
    const { port } = predecessor.address() as AddressInfo;
    const { lines, slept, controller, options } = surroundings();
    const asleep = once(slept, "sleep");
    const listening = listen(health().server, { address: address("127.0.0.1"), port }, options);
    await asleep;
    controller.abort();
    await listening;
    expect(lines).toEqual(["error cannot listen"]);
  });

  test("pipelined GET /healthz is one request on each connection", async () => {
    const { server, asked } = health();
    await listen(server, { address: address("127.0.0.1"), port: 0 }, surroundings().options);
    const { port } = boundTo(server);
    const clients = Array.from({ length: 20 }, () => connect(port, "127.0.0.1").resume());
    for (const client of clients) client.write("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1800));
    await Promise.all(clients.map((client) => once(client, "close")));
    expect(asked).toHaveLength(20);
  });

  test("close does not wait for a client in the middle of a request", async () => {
    const { server } = health();
    await listen(server, { address: address("127.0.0.1"), port: 0 }, surroundings().options);
    const { port } = boundTo(server);
    const client = connect(port, "127.0.0.1").on("error", () => undefined);
    const cut = once(client, "close");
    client.write("GET /livez HTTP/1.1\r\n");
    expect(await status("127.0.0.1", port)).toBe(200);
    await server.close();
    await cut;
    await expect(status("127.0.0.1", port)).rejects.toThrow();
  });
});
