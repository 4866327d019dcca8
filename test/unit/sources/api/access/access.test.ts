import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { ApiResponse } from "../../../../../src/sources/api/transport/transport.ts";
import { ApiModel } from "../../../../support/api/api-model.ts";
import { bodyText } from "../../../../support/api/body-text.ts";
import { HandClock } from "../../../../support/api/worlds/hand-clock.ts";
import { ModelTransport } from "../../../../support/api/worlds/model-transport.ts";

/** Checks that the server of the tests authenticates as the real one does, as other tests rely on it. */

const never = new AbortController().signal;

/** Path, status and body of a recorded exchange. */
function recorded(name: string) {
  const file = new URL(`../../../../fixtures/apiserver/${name}.http.txt`, import.meta.url);
  const text = readFileSync(file, "utf8");
  const path = /^GET (\S+)/.exec(text)?.[1] ?? "";
  const status = Number(/^HTTP\/1.1 (\d+)/m.exec(text)?.[1]);
  return { path, status, body: text.slice(text.lastIndexOf("\n{") + 1).trim() };
}

async function answered({ status, body }: ApiResponse) {
  return { status, body: await bodyText(body) };
}

function server(authorization: string) {
  const model = new ApiModel(new HandClock());
  model.behaviour.tokens = new Map([["good", "nobody"]]);
  model.behaviour.rules = [{ apiGroup: "discovery.k8s.io", resource: "endpointslices", verbs: ["list"] }];
  const transport = new ModelTransport(model);
  transport.authorization = authorization;
  return { model, transport };
}

test.each([
  ["11-401-watch-bad-token", "Bearer bad"],
  ["13-403-forbidden-watch", "Bearer good"],
  ["14-403-anonymous", ""],
])("the recorded request %s gets the recorded answer", async (name, authorization) => {
  const { path, status, body } = recorded(name);
  expect(body).toContain('"kind":"Status"');
  expect(await answered(await server(authorization).transport.get(path, never))).toEqual({ status, body });
});

const SLICES = "/apis/discovery.k8s.io/v1/endpointslices";
const EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events";

test.each([
  ["GET", SLICES, 200],
  ["GET", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", 200],
  ["GET", `${SLICES}?watch=true`, 403],
  ["GET", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web", 403],
  ["GET", "/api/v1/services", 403],
  ["POST", EVENTS, 403],
  ["PATCH", `${EVENTS}/web`, 403],
] as const)("a role of listing EndpointSlices, %s %s: %d", async (method, path, status) => {
  const { transport, model } = server("Bearer good");
  expect((await transport.send({ method, path, contentType: "application/json", body: "{}" }, never)).status).toBe(
    status,
  );
  expect(model.events.writes).toBe(0);
});

test("a revoked token is rejected", async () => {
  const { transport, model } = server("Bearer good");
  expect((await transport.get(SLICES, never)).status).toBe(200);
  model.behaviour.tokens = new Map([["better", "nobody"]]);
  expect((await transport.get(SLICES, never)).status).toBe(401);
});
