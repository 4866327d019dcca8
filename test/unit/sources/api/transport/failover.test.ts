import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { ApiTransport } from "../../../../../src/sources/api/transport/api-transport.ts";
import { refusal, TOO_MANY_REQUESTS } from "../../../../support/api/answers.ts";
import { ApiModel } from "../../../../support/api/api-model.ts";
import { ApiServer, type ApiServerOptions, type RequestHandler } from "../../../../support/api/api-server.ts";
import { HandClock } from "../../../../support/api/worlds/hand-clock.ts";
import { SILENT_LOGGER } from "../../../../support/api/worlds/silent-logger.ts";
import { TestAccess, until } from "../../../../support/api/worlds/test-access.ts";

const SERVICES = "/api/v1/services";
const WATCH = `${SERVICES}?watch=true&resourceVersion=100&timeoutSeconds=600`;
const ALL = ["h2", "http/1.1", "plain"] as const;
type Protocol = (typeof ALL)[number];

const never = new AbortController().signal;
const IN_TROUBLE = refusal(503, "ServiceUnavailable", "no backend");

async function serve(options: ApiServerOptions = {}, clock = new HandClock()) {
  const model = new ApiModel(clock);
  const server = await ApiServer.start(model, options);
  onTestFinished(() => server.close());
  return { clock, model, server };
}

function transportTo(access: TestAccess, clock: HandClock) {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  return { transport: new ApiTransport(access, { clock, logger: SILENT_LOGGER, signal: stop.signal }), stop };
}

/** A server that cannot be used, and the time limit after which a request to it fails. */
interface BadServer {
  readonly url: string;
  /** How many connections or requests have waited for this server without an answer. */
  readonly waiting: () => number;
  readonly endWait: (request: AbortController, clock: HandClock) => unknown;
}

const giveUp = (request: AbortController) => request.abort(new Error("no answer in time"));

async function socketServer(protocol: Protocol, onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  // A TCP server that listens has an address of this form.
  return `${protocol === "plain" ? "http" : "https"}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function badServer(protocol: Protocol, handler: RequestHandler): Promise<ApiServer> {
  const server = await ApiServer.start(handler, { protocol });
  onTestFinished(() => server.close());
  return server;
}

const BAD_SERVERS: Readonly<Record<string, (protocol: Protocol) => Promise<BadServer>>> = {
  "is dead": async (protocol) => {
    const server = await ApiServer.start({ handle: () => {} }, { protocol });
    const { url } = server;
    await server.close();
    return { url, waiting: () => 0, endWait: giveUp };
  },
  "resets every connection": async (protocol) => {
    const url = await socketServer(protocol, (socket) => socket.resetAndDestroy());
    return { url, waiting: () => 0, endWait: giveUp };
  },
  "resets every request": async (protocol) => {
    const { url } = await badServer(protocol, { handle: (_, reply) => reply.reset() });
    return { url, waiting: () => 0, endWait: giveUp };
  },
  "takes connections and is silent": async (protocol) => {
    let sockets = 0;
    const url = await socketServer(protocol, (socket) => {
      sockets++;
      socket.resume();
    });
    const endWait: BadServer["endWait"] = protocol === "plain" ? giveUp : (_, clock) => clock.advance(10_000);
    return { url, waiting: () => sockets, endWait };
  },
  "takes requests and is silent": async (protocol) => {
    let requests = 0;
    const { url } = await badServer(protocol, { handle: () => void requests++ });
    return { url, waiting: () => requests, endWait: giveUp };
  },
  "answers 503": async (protocol) => {
    const { model, server } = await serve({ protocol });
    model.behaviour.trouble = IN_TROUBLE;
    return { url: server.url, waiting: () => 0, endWait: giveUp };
  },
};

/** The result of a request: its status, or "failed", also after the time limit. */
async function outcome(transport: ApiTransport, bad: BadServer, clock: HandClock): Promise<number | "failed"> {
  const request = new AbortController();
  const seen = { waiting: bad.waiting() };
  let result: number | "failed" | undefined;
  void transport.get(SERVICES, request.signal).then(
    ({ status }) => (result = status),
    () => (result = "failed"),
  );
  await until("an outcome", async () => {
    if (result === undefined && bad.waiting() > seen.waiting) {
      seen.waiting = bad.waiting();
      await bad.endWait(request, clock);
    }
    return result !== undefined;
  });
  return result ?? "failed";
}

const CASES = ALL.flatMap((protocol) =>
  Object.entries(BAD_SERVERS).map(([what, start]) => ({ protocol, what, start })),
);

test.each(CASES)("over $protocol a server that $what is replaced by the next after three requests", async (one) => {
  const good = await serve({ protocol: one.protocol });
  const bad = await one.start(one.protocol);
  const { transport } = transportTo(new TestAccess(bad.url, good.server.url), good.clock);
  const outcomes: unknown[] = [];
  while (outcomes.at(-1) !== 200 && outcomes.length < 6) outcomes.push(await outcome(transport, bad, good.clock));
  expect(outcomes.at(-1)).toBe(200);
  expect(outcomes.length).toBeLessThanOrEqual(4);
  expect(await outcome(transport, bad, good.clock), "the server that answers is kept").toBe(200);
});

describe.each(ALL)("over %s", (protocol) => {
  test("a server that dies is replaced by the next", async () => {
    const first = await serve({ protocol });
    const second = await serve({ protocol });
    const { transport } = transportTo(new TestAccess(first.server.url, second.server.url), first.clock);
    await transport.get(WATCH, never);
    expect([first.model.requests.length, second.server.connections]).toEqual([1, 0]);
    await first.server.close();
    await until("the other server", async () => {
      await transport.get(SERVICES, never).catch(() => {});
      return second.model.requests.length > 0;
    });
    expect((await transport.get(SERVICES, never)).status).toBe(200);
  });

  test("watches move to the next server when a server fails or its caller gives it up", async () => {
    const first = await serve({ protocol });
    const second = await serve({ protocol });
    const { transport } = transportTo(new TestAccess(first.server.url, second.server.url), first.clock);
    const watch = await transport.get(WATCH, never);
    const moved = expect(watch.body.read(() => {})).rejects.toMatchObject({ kind: "moved" });
    first.model.behaviour.trouble = IN_TROUBLE;
    const statuses: number[] = [];
    for (let request = 0; request < 4; request++) statuses.push((await transport.get(SERVICES, never)).status);
    expect(statuses).toEqual([503, 503, 503, 200]);
    await moved;

    const other = await transport.get(WATCH, never);
    const movedToo = expect(other.body.read(() => {})).rejects.toMatchObject({ kind: "moved", message: "it lags" });
    first.model.behaviour.trouble = undefined;
    other.leaveServer("it lags");
    await movedToo;
    const asked = first.model.requests.length;
    await transport.get(SERVICES, never);
    expect(first.model.requests.length).toBe(asked + 1);
    other.leaveServer("said about a server that was left already");
    await transport.get(SERVICES, never);
    expect(first.model.requests.length).toBe(asked + 2);
  });

  test("the only server gets a new connection when it is given up, as a load balancer may select another one", async () => {
    const { server, clock } = await serve({ protocol });
    const { transport } = transportTo(new TestAccess(server.url), clock);
    (await transport.get(SERVICES, never)).leaveServer("it lags");
    const before = server.connections;
    expect((await transport.get(SERVICES, never)).status).toBe(200);
    expect(server.connections).toBeGreaterThan(before);
  });

  test("a server is kept if it answers 429, if it recovers, or if it is the only one", async () => {
    const first = await serve({ protocol });
    const second = await serve({ protocol });
    const { transport } = transportTo(new TestAccess(first.server.url, second.server.url), first.clock);
    const twice = [IN_TROUBLE, IN_TROUBLE];
    for (const trouble of [...twice, undefined, ...twice, ...Array(4).fill(TOO_MANY_REQUESTS)]) {
      first.model.behaviour.trouble = trouble;
      await (await transport.get(SERVICES, never)).body.read(() => {});
    }
    expect([first.model.requests.length, second.model.requests.length]).toEqual([9, 0]);

    const { transport: alone } = transportTo(new TestAccess(second.server.url), second.clock);
    second.model.behaviour.trouble = IN_TROUBLE;
    await (await alone.get(SERVICES, never)).body.read(() => {});
    const before = second.server.connections;
    for (let request = 0; request < 6; request++) await (await alone.get(SERVICES, never)).body.read(() => {});
    expect(second.server.connections).toBe(before);
  });

  test("a stop leaves no connection", async () => {
    const { server, clock } = await serve({ protocol });
    const { transport, stop } = transportTo(new TestAccess(server.url), clock);
    await transport.get(WATCH, never);
    await transport.get(SERVICES, never);
    stop.abort();
    await until("all is closed", () => server.openConnections === 0 && clock.sleeping === 0);
  });
});

describe("REFUSED_STREAM without GOAWAY", () => {
  test("retires a connection, which closes with its last stream, and at a stop", async () => {
    const { server, model, clock } = await serve();
    const { transport, stop } = transportTo(new TestAccess(server.url), clock);
    const watch = await transport.get(WATCH, never);
    const end = watch.body.read(() => {});
    for (let request = 0; request < 10; request++) {
      server.refuseStreams(2);
      const answer = await transport.get(SERVICES, never);
      await answer.body.read(() => {});
      expect(answer.status).toBe(200);
    }
    expect(server.connections).toBe(21);
    await until("two are left", () => server.openConnections === 2);
    model.endWatches("end");
    await end;
    await until("one is left", () => server.openConnections === 1);

    await transport.get(WATCH, never);
    server.refuseStreams(1);
    await transport.get(WATCH, never);
    expect(server.openConnections).toBe(2);
    stop.abort();
    await until("none is left", () => server.openConnections === 0 && clock.sleeping === 0);
  });
});

test("an idle HTTP/1.1 socket that the server closes during its reuse loses no request", async () => {
  let requests = 0;
  const url = await socketServer("plain", (socket) => {
    let answered = false;
    socket.on("data", () => {
      requests++;
      if (answered) socket.resetAndDestroy();
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
      answered = true;
    });
  });
  const { transport } = transportTo(new TestAccess(url), new HandClock());
  for (let request = 0; request < 2; request++) {
    const answer = await transport.get(SERVICES, never);
    await answer.body.read(() => {});
    // The socket becomes idle a moment after the body ends.
    await new Promise(setImmediate);
    expect(answer.status).toBe(200);
  }
  expect(requests).toBe(3);
});

test("a name with several addresses of which none answers fails with their reasons", async () => {
  const { transport } = transportTo(new TestAccess("https://localhost:2", "https://127.0.0.1:1"), new HandClock());
  await expect(transport.get(SERVICES, never)).rejects.toThrow(
    /^Cannot connect to "https:\/\/localhost:2": connect .*:2.*; Cannot connect to "https:\/\/127.0.0.1:1": connect ECONNREFUSED 127.0.0.1:1$/,
  );
});
