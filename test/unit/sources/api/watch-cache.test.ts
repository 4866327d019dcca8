import { expect, test } from "vitest";
import { problemObjectText } from "../../../../src/model/cluster/problem.ts";
import { watchedServices } from "../../../../src/sources/api/resources.ts";
import { WatchCache } from "../../../../src/sources/api/watch-cache.ts";
import { decodeService } from "../../../../src/sources/decode/decode-service.ts";
import { serviceObject } from "../../../support/objects/builders.ts";

/** A cache of Services whose decoder throws for some objects. */
function setUp() {
  const told: string[] = [];
  const resource = {
    ...watchedServices(),
    decode: (object: unknown) => {
      if (JSON.stringify(object).includes("poison")) throw new TypeError("x is not a function");
      return decodeService(object);
    },
  };
  const cache = new WatchCache(resource, {
    onEvent: (event) => told.push(event.kind === "service-upserted" ? `+${event.service.name}` : event.kind),
    onProblems: (object, problems) =>
      told.push(
        ...problems.map(
          ({ object: about, reason }) => `${object}: ${problemObjectText(about)} ${reason.replace(/ \(.*/, "")}`,
        ),
      ),
  });
  const upsert = (name: string, resourceVersion: string, labels: Record<string, string> = {}) =>
    cache.upsert({ namespace: "shop", name, resourceVersion, object: serviceObject(`shop/${name}`, { labels }) });
  return { told, upsert, cache };
}

test("an exception while one object is decoded is a problem of that object, and the others are decoded", () => {
  const { told, upsert, cache } = setUp();
  cache.beginList();
  upsert("api", "1");
  upsert("web", "2", { app: "poison" });
  upsert("dns", "3");
  cache.completeList();
  expect(told).toEqual([
    "+shop/api",
    "services shop/web: Service shop/web cannot be decoded: x is not a function",
    "+shop/dns",
    "listed",
  ]);
});

test("the former version of an object whose decoding throws stays in force until a later one replaces it", () => {
  const { told, upsert } = setUp();
  upsert("web", "1");
  upsert("web", "2", { app: "poison" });
  upsert("web", "3");
  expect(told).toEqual([
    "+shop/web",
    "services shop/web: Service shop/web cannot be decoded: x is not a function",
    "+shop/web",
  ]);
});
