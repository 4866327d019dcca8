import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../../src/process/system-clock.ts";
import { httpServer } from "../../../../src/serve/http-server.ts";
import { SliMetrics } from "../../../../src/serve/metrics/sli-metrics.ts";
import { serveMetrics } from "../../../../src/serve/metrics-server.ts";
import { MOST_STREAMS } from "../../../../src/serve/page/event-streams.ts";
import { readPageFiles } from "../../../../src/serve/page/page-files.ts";
import { addPageRoutes, type PageQuery } from "../../../../src/serve/page/page-routes.ts";
import { eventually } from "../../../support/time/eventually.ts";

const closed: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closed.splice(0)) await close();
});

const FILES = {
  "index.html": "<!doctype html>",
  "main-ABC.js": "let a;",
  "style-DEF.css": "a{}",
  "icon-X.svg": "<svg/>",
};

async function world({ isBuilt = true, token = "" } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "page-routes-"));
  const ui = join(folder, "ui");
  if (isBuilt) await mkdir(ui);
  if (isBuilt)
    for (const [name, text] of Object.entries({ ...FILES, "x.map": "{}" })) await writeFile(join(ui, name), text);
  const server = httpServer();
  const asked: PageQuery[] = [];
  let released = 0;
  if (token !== "")
    serveMetrics(server, {
      registry: new Registry(),
      slis: new SliMetrics(new Registry()),
      statusPage: () => "",
      flagsPage: () => "",
      configuration: () => ({}),
      access: {
        refusal: async ({ authorization }) =>
          authorization === `Bearer ${token}` ? undefined : { status: 401, headers: {}, body: "no" },
      },
    });
  addPageRoutes(server, {
    files: () => readPageFiles(ui),
    clock: systemClock,
    source: {
      read: async (query) => {
        asked.push(query);
        return { overview: { reads: asked.length } };
      },
      release: () => released++,
    },
  });
  closed.push(
    () => server.close(),
    () => rm(folder, { recursive: true }),
  );
  return { server, asked, released: () => released };
}

async function listening(options = {}) {
  const made = await world(options);
  return { ...made, url: await made.server.listen({ host: "127.0.0.1", port: 0 }) };
}

async function streamOf(url: string, headers = {}): Promise<IncomingMessage> {
  const request = get(url, { headers });
  const [response]: IncomingMessage[] = await once(request, "response");
  if (response === undefined) throw new Error("no response");
  closed.push(() => response.destroy());
  return response;
}

test.each([
  ["/ui", "text/html; charset=utf-8", "no-store"],
  ["/ui/main-ABC.js", "text/javascript; charset=utf-8", "private, max-age=31536000, immutable"],
  ["/ui/style-DEF.css", "text/css; charset=utf-8", "private, max-age=31536000, immutable"],
  ["/ui/icon-X.svg", "image/svg+xml", "private, max-age=31536000, immutable"],
])("%s is served as %s with a strict policy", async (url, type, caching) => {
  const { server } = await world();
  const { statusCode, headers } = await server.inject({ url });
  expect(statusCode).toBe(200);
  expect(headers).toMatchObject({
    "content-type": type,
    "cache-control": caching,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  });
  const policy = String(headers["content-security-policy"]);
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:|data:/);
});

test.each([
  ["/ui/x.map", 404],
  ["/ui/index.html/", 404],
  ["/ui/..%2f..%2fetc%2fpasswd", 404],
  ["/ui/main-ABC.js?x=1", 200],
])("%s is answered with %i", async (url, status) => {
  const { server } = await world();
  expect((await server.inject({ url })).statusCode).toBe(status);
});

test("the page is read only: other methods are not found", async () => {
  const { server } = await world();
  for (const method of ["POST", "PUT", "DELETE", "PATCH"] as const)
    for (const url of ["/ui", "/ui/events", "/ui/main-ABC.js"])
      expect((await server.inject({ method, url })).statusCode).toBe(404);
});

test("a slash at the end leads to the page by a relative address", async () => {
  const { server } = await world();
  const { statusCode, headers } = await server.inject({ url: "/ui/" });
  expect([statusCode, headers.location]).toEqual([302, "../ui"]);
});

test("a page that was not built says so", async () => {
  const { server } = await world({ isBuilt: false });
  const { statusCode, body } = await server.inject({ url: "/ui" });
  expect([statusCode, body]).toEqual([503, "The status page was not built: run npm run build\n"]);
});

describe("server-sent events", () => {
  test.each<[string, PageQuery]>([
    ["", { search: "", onlyProblems: false, offset: 0, service: "" }],
    ["?search=a%20b&problems=true&offset=50", { search: "a b", onlyProblems: true, offset: 50, service: "" }],
    ["?service=shop/web", { search: "", onlyProblems: false, offset: 0, service: "shop/web" }],
    ["?offset=-1&problems=1", { search: "", onlyProblems: false, offset: 0, service: "" }],
    ["?offset=1e99", { search: "", onlyProblems: false, offset: 1, service: "" }],
    ["?offset=99999999999999999999", { search: "", onlyProblems: false, offset: 0, service: "" }],
    [`?search=${"x".repeat(999)}`, { search: "x".repeat(200), onlyProblems: false, offset: 0, service: "" }],
    ["?search=a&search=b", { search: "a,b", onlyProblems: false, offset: 0, service: "" }],
  ])("are asked for by %j", async (query, view) => {
    const { url, asked } = await listening();
    const stream = await streamOf(`${url}/ui/events${query}`);
    const [first] = await once(stream, "data");
    expect(String(first)).toMatch(/^retry: 2000\n\n/);
    expect(stream.headers).toMatchObject({ "content-type": "text/event-stream", "cache-control": "no-store" });
    await eventually(() => expect(asked).toEqual([view]));
  });

  test("are refused for more clients than the limit, and nothing is kept for clients that have gone", async () => {
    const { url, released } = await listening();
    const streams = await Promise.all(Array.from({ length: MOST_STREAMS }, () => streamOf(`${url}/ui/events`)));
    expect((await fetch(`${url}/ui/events`)).status).toBe(503);
    for (const stream of streams) stream.destroy();
    await eventually(() => expect(released()).toBe(1));
    expect((await streamOf(`${url}/ui/events`)).statusCode).toBe(200);
  });

  test("are refused for pages of other sites, which could use up the streams", async () => {
    const { server, asked } = await world();
    const { statusCode } = await server.inject({ url: "/ui/events", headers: { "sec-fetch-site": "cross-site" } });
    expect([statusCode, asked]).toEqual([403, []]);
  });

  test("end when the server closes, and do not delay it", async () => {
    const { url, server } = await listening();
    const stream = await streamOf(`${url}/ui/events`);
    stream.on("error", () => undefined);
    let text = "";
    stream.on("data", (chunk) => {
      text += chunk;
    });
    await eventually(() => expect(text).toContain("event: overview"));
    const ended = new Promise((resolve) => stream.once("close", resolve));
    await server.close();
    await ended;
  });
});

test("whoever may not read from the metrics server gets nothing of the page", async () => {
  const { url, asked } = await listening({ token: "secret" });
  for (const path of ["/ui", "/ui/", "/ui/main-ABC.js", "/ui/events"])
    expect((await fetch(`${url}${path}`, { redirect: "manual" })).status).toBe(401);
  expect(asked).toEqual([]);
  const stream = await streamOf(`${url}/ui/events`, { authorization: "Bearer secret" });
  expect(stream.statusCode).toBe(200);
});
