import { describe, expect, onTestFinished, test } from "vitest";
import { TransportError } from "../../../../../src/sources/api/transport/transport.ts";
import { bodyText } from "../../../../support/api/body-text.ts";
import { TcpRelay } from "../../../../support/api/tcp-relay.ts";
import { apiService } from "../../../../support/api/worlds/reported-cluster.ts";
import { TestAccess, until } from "../../../../support/api/worlds/test-access.ts";
import { listen, serve, transportTo } from "../../../../support/api/worlds/transport-world.ts";

const SERVICES = "/api/v1/services";
const WATCH = `${SERVICES}?watch=true&resourceVersion=100&timeoutSeconds=600`;
const EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events";
const ALL = ["h2", "http/1.1", "plain"] as const;

const never = new AbortController().signal;

describe.each(ALL)("over %s", (protocol) => {
  test("status, Retry-After and body arrive unchanged", async () => {
    const { access, clock, model } = await serve({ protocol });
    model.store.put(SERVICES, apiService("é🦊", 1));
    const { transport } = transportTo(access, clock);
    const list = await transport.get(SERVICES, never);
    expect([list.status, list.retryAfterMs]).toEqual([200, 0]);
    expect(JSON.parse(await bodyText(list.body)).items[0].metadata.name).toBe("é🦊");
    const tooNew = await transport.get(`${SERVICES}?resourceVersion=9999`, never);
    expect([tooNew.status, tooNew.retryAfterMs]).toEqual([504, 1000]);
    expect((await transport.get("/nothing", never)).status).toBe(404);
  });

  test("requests to a server with a path are sent below this path", async () => {
    const { server, clock, model } = await serve({ protocol });
    const { transport } = transportTo(new TestAccess(`${server.url}/k8s/c-1/`), clock);
    await transport.get(`${SERVICES}?limit=1`, never);
    expect(model.requests.map(({ path }) => path)).toEqual([`/k8s/c-1${SERVICES}`]);
  });

  test("a written object arrives with its method, its type and every byte", async () => {
    const { access, clock, model } = await serve({ protocol });
    const { transport } = transportTo(access, clock);
    const body = JSON.stringify({ text: "é🦊".repeat(20_000) });
    const sent = { method: "PATCH" as const, path: `${EVENTS}/a`, contentType: "application/merge-patch+json", body };
    expect((await transport.send(sent, never)).status).toBe(404);
    expect(model.requests).toMatchObject([
      { method: "PATCH", path: `${EVENTS}/a`, contentType: sent.contentType, body },
    ]);
  });

  test("the headers of a watch arrive before its first event, and each event at once", async () => {
    const { access, clock, model } = await serve({ protocol });
    const { transport } = transportTo(access, clock);
    const heard = listen(await transport.get(WATCH, never));
    expect(heard.text).toBe("");
    model.store.put(SERVICES, apiService("a", 1));
    await until("the event", () => heard.text.endsWith("}\n"));
    model.endWatches("end");
    await until("the end", () => heard.end !== undefined);
    expect(heard.end).toBe("complete");
  });

  test.each(["reset", "drop"] as const)("a body that is cut (%s) never looks complete", async (how) => {
    const { access, clock, model, server } = await serve({ protocol });
    const { transport } = transportTo(access, clock);
    const heard = listen(await transport.get(WATCH, never));
    model.store.put(SERVICES, apiService("a", 1));
    await until("the event", () => heard.text.endsWith("}\n"));
    if (how === "reset") server.resetConnections();
    else server.dropConnections();
    await until("the end", () => heard.end !== undefined);
    expect(heard.end).toBe("lost");
    expect((await transport.get(SERVICES, never)).status).toBe(200);
  });

  test("aborting ends the request at the server, before and after the answer", async () => {
    const { access, clock, model } = await serve({ protocol });
    const { transport } = transportTo(access, clock);
    model.behaviour.etcdDown = true;
    const early = new AbortController();
    const unanswered = transport.get(SERVICES, early.signal);
    await until("the request", () => model.requests.length === 1);
    early.abort();
    await expect(unanswered).rejects.toBeDefined();
    const late = new AbortController();
    const heard = listen(await transport.get(WATCH, late.signal));
    expect(model.openWatches).toBe(1);
    late.abort();
    await until("the end", () => heard.end !== undefined && model.openWatches === 0);
    expect(heard.end).not.toBe("complete");
  });

  test("a stop ends open requests", async () => {
    const { access, clock, model, server } = await serve({ protocol });
    const { transport, stop } = transportTo(access, clock);
    const heard = listen(await transport.get(WATCH, never));
    stop.abort();
    await until("the end", () => heard.end !== undefined && model.openWatches === 0);
    expect(heard.end).toBe("lost");
    await until("no timer is left", () => clock.sleeping === 0);
    await server.close();
    await expect(transport.get(SERVICES, never)).rejects.toBeInstanceOf(TransportError);
  });
});

test("all requests use one HTTP/2 connection", async () => {
  const { access, clock, server } = await serve();
  const { transport } = transportTo(access, clock);
  await Promise.all([1, 2, 3, 4].map(() => transport.get(WATCH, never)));
  expect(server.connections).toBe(1);
});

test("user agent, accepted types and credentials are sent", async () => {
  const { access, clock, model } = await serve();
  model.behaviour.tokens = new Map([["secret", "kube-ipvs"]]);
  access.token = "secret";
  access.nextToken = "secret";
  const { transport } = transportTo(access, clock);
  expect((await transport.get(SERVICES, never)).status).toBe(200);
});

test("no credentials are sent in clear text", async () => {
  const { access, clock, model } = await serve({ protocol: "plain" });
  access.token = "secret";
  const { transport } = transportTo(access, clock);
  await transport.get(SERVICES, never);
  expect(model.requests[0]?.authorization).toBe("");
});

describe("a token that is rejected", () => {
  test("is read again, and the request is repeated at once", async () => {
    const { access, clock, model } = await serve();
    model.behaviour.tokens = new Map([["new", "kube-ipvs"]]);
    access.token = "old";
    access.nextToken = "new";
    const { transport } = transportTo(access, clock);
    expect((await transport.get(SERVICES, never)).status).toBe(200);
    expect([access.renewals, model.requests.length]).toEqual([1, 2]);
  });

  test("and has not changed is not tried twice", async () => {
    const { access, clock, model } = await serve();
    model.behaviour.tokens = new Map();
    access.token = "old";
    access.nextToken = "old";
    const { transport } = transportTo(access, clock);
    expect((await transport.get(SERVICES, never)).status).toBe(401);
    expect(model.requests).toHaveLength(1);
  });
});

describe("a server that goes away", () => {
  test("keeps its open watches after GOAWAY, and new requests use a new connection", async () => {
    const { access, clock, model, server } = await serve();
    const { transport } = transportTo(access, clock);
    const heard = listen(await transport.get(WATCH, never));
    server.goAway();
    await until("a new connection", async () => {
      await transport.get(SERVICES, never);
      return server.connections === 2;
    });
    model.store.put(SERVICES, apiService("a", 1));
    await until("the event", () => heard.text.endsWith("}\n"));
    expect(heard.end).toBeUndefined();
  });

  test("and rejects a stream unprocessed gets the request again over a new connection", async () => {
    const { access, clock, server } = await serve();
    const { transport } = transportTo(access, clock);
    await transport.get(SERVICES, never);
    server.refuseStreams(2);
    expect((await transport.get(SERVICES, never)).status).toBe(200);
    expect(server.connections).toBe(3);
    server.refuseStreams(3);
    await expect(transport.get(SERVICES, never)).rejects.toMatchObject({ kind: "unprocessed" });
  });
});

describe("a dead network path", () => {
  test("is detected by an unanswered PING within 45 s of silence, and the next request uses another connection", async () => {
    const { clock, model, server } = await serve();
    const relay = await TcpRelay.start(server.port);
    onTestFinished(() => relay.close());
    const { transport } = transportTo(new TestAccess(`https://127.0.0.1:${relay.port}`), clock);
    const heard = listen(await transport.get(WATCH, never));
    relay.freeze();
    model.store.put(SERVICES, apiService("a", 1));
    await clock.advance(44_999);
    expect(heard.end).toBeUndefined();
    await clock.advance(1);
    await until("the end", () => heard.end !== undefined);
    expect([heard.end, heard.text]).toEqual(["lost", ""]);
    const again = listen(await transport.get(WATCH, never));
    await until("the event", () => again.text.endsWith("}\n"));
  });

  test("is not suspected while data arrives", async () => {
    const { access, clock, model, server } = await serve();
    const { transport } = transportTo(access, clock);
    const heard = listen(await transport.get(WATCH, never));
    for (let i = 0; i < 5; i++) {
      await clock.advance(40_000);
      await transport.get(SERVICES, never);
    }
    expect(server.connections).toBe(1);
    model.store.put(SERVICES, apiService("a", 1));
    await until("the event", () => heard.text.endsWith("}\n"));
  });

  test("to a server that never answers a handshake is given up after 10 s", async () => {
    const { clock, server } = await serve();
    const relay = await TcpRelay.start(server.port);
    onTestFinished(() => relay.close());
    relay.swallow();
    const { transport } = transportTo(new TestAccess(`https://127.0.0.1:${relay.port}`), clock);
    const failed = expect(transport.get(SERVICES, never)).rejects.toThrow("no connection in time");
    await until("someone waits", () => clock.sleeping > 0);
    await clock.advance(10_000);
    await failed;
  });
});
