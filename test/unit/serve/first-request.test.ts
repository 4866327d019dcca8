import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { ConnectionLimit, SERVED_CONNECTIONS } from "../../../src/serve/connection-limit.ts";
import { answerOnce, REQUEST_TIMES } from "../../../src/serve/first-request.ts";

const GET = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWER = /^HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)*\r\nok$/;

const toClose: (() => unknown)[] = [];
afterEach(() => {
  for (const close of toClose.splice(0)) close();
});

/** A server that counts its answers, and the most answers in one turn of the event loop. */
async function counting() {
  const world = { answered: 0, urls: [] as (string | undefined)[], mostPerTurn: 0 };
  let thisTurn = 0;
  const server = createServer(REQUEST_TIMES, (request, response) => {
    world.answered++;
    thisTurn++;
    world.mostPerTurn = Math.max(world.mostPerTurn, thisTurn);
    setImmediate(() => {
      thisTurn = 0;
    });
    world.urls.push(request.url);
    response.end("ok");
  });
  answerOnce(server, new ConnectionLimit(SERVED_CONNECTIONS));
  const port = await listening(server);
  return { world, server, port };
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  toClose.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, "listening");
  return (server.address() as AddressInfo).port; // of a TCP server
}

function client(port: number, localAddress = "127.0.0.1"): Socket {
  const socket = connect({ port, host: "127.0.0.1", localAddress }).on("error", () => undefined);
  toClose.push(() => socket.destroy());
  return socket;
}

/** All that the server sends until it closes the connection. */
async function received(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  await closed(socket);
  return text;
}

/** An error ends the connection too. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.on("close", () => resolve()));
}

describe("a connection of the server", () => {
  test("is answered once: 6 MB of pipelined requests on 100 connections are 100 answers, and no turn has more", async () => {
    const { world, port } = await counting();
    const bodies = Array.from({ length: 100 }, async () => {
      const socket = client(port);
      socket.write(GET.repeat(1800));
      return await received(socket);
    });
    for (const text of await Promise.all(bodies)) expect(text).toMatch(ANSWER);
    expect(world.answered).toBe(100);
    expect(world.mostPerTurn).toBeLessThanOrEqual(SERVED_CONNECTIONS.all);
  });

  test.each([1, 2, 3, 7, GET.length - 1, GET.length + 5])(
    "is answered once if requests arrive in chunks of %i bytes",
    async (size) => {
      const { world, port } = await counting();
      const socket = client(port).setNoDelay(true);
      const text = received(socket);
      const bytes = `${GET}${GET}`;
      for (let at = 0; at < bytes.length && !socket.closed; at += size) {
        socket.write(bytes.slice(at, at + size));
        await nextTurn();
      }
      expect(await text).toMatch(ANSWER);
      expect(world.urls).toEqual(["/healthz"]);
    },
  );

  test("is closed after the answer, also with keep-alive", async () => {
    const { port } = await counting();
    const socket = client(port);
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    expect(await received(socket)).toContain("\r\nConnection: close\r\n");
  });

  test("is answered before a body arrives, and a large body does not prevent the answer", async () => {
    const { port } = await counting();
    const body = "x".repeat(500_000);
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body });
    expect([response.status, await response.text()]).toEqual([200, "ok"]);
  });

  test.each([
    ["a head without an end", [`GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(200_000)}`], 0],
    ["what follows the first request without an end", [GET, Buffer.alloc(8_000_000)], 1],
  ])("%s is cut", async (_what, parts, answered) => {
    const { world, port } = await counting();
    const socket = client(port);
    for (const part of parts) socket.write(part);
    socket.resume();
    await closed(socket);
    expect(world.answered).toBe(answered);
  });
});

describe("a limit of connections", () => {
  test("lets others in beside 300 connections that send nothing: the oldest of their address are closed", async () => {
    const { server, port } = await counting();
    const other = client(port, "127.0.0.2");
    other.write("GET / HTTP/1.1\r\n");
    const idle = Array.from({ length: 300 }, () => client(port));
    await Promise.all(idle.map((socket) => once(socket, "connect")));
    const probe = client(port);
    probe.write(GET);
    expect(await received(probe)).toMatch(ANSWER);
    other.write("Host: a\r\n\r\n");
    expect(await received(other)).toMatch(ANSWER);
    const open = await new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)));
    expect(open).toBeLessThanOrEqual(SERVED_CONNECTIONS.each);
  });
});
