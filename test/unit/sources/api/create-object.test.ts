import { expect, test } from "vitest";
import { createObject } from "../../../../src/sources/api/create-object.ts";
import { ApiModel } from "../../../support/api/api-model.ts";
import { HandClock } from "../../../support/api/worlds/hand-clock.ts";
import { ModelTransport } from "../../../support/api/worlds/model-transport.ts";

const PATH = "/apis/authentication.k8s.io/v1/tokenreviews";
const REVIEW = { kind: "TokenReview", spec: { token: "é" } };

function world() {
  const clock = new HandClock();
  const model = new ApiModel(clock);
  const { signal } = new AbortController();
  const transport = new ModelTransport(model);
  return { clock, model, create: () => createObject(transport, PATH, REVIEW, { clock, signal }) };
}

test("an object is created, and the object of the response returned", async () => {
  const { model, create } = world();
  expect(await create()).toMatchObject({ ...REVIEW, status: { user: {} } });
  expect(model.requests).toMatchObject([{ method: "POST", path: PATH, contentType: "application/json" }]);
});

test("a server that refuses is quoted with the path and the status", async () => {
  const { model, create } = world();
  model.behaviour.rules = [];
  model.behaviour.tokens = undefined;
  await expect(create()).rejects.toThrow(
    /^\/apis\/authentication\.k8s\.io\/v1\/tokenreviews: 403 tokenreviews.* is forbidden/,
  );
});
