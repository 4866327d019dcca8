import { expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import { problemObjectText } from "../../../src/model/cluster/problem.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { service } from "../../support/objects/builders.ts";
import { facts } from "../../support/objects/desired.ts";

const IPS = Array.from({ length: 25 }, (_, index) => `198.51.100.${index + 1}`);

function put(state: DesiredStateBuilder, name: string, ip: string, externalIPs: readonly string[]): void {
  state.apply({ kind: "service-upserted", service: service(name, { ip, externalIPs }) });
  state.advance(Number.POSITIVE_INFINITY);
}

const fresh = (state: DesiredStateBuilder) =>
  [...state.problems.takeChanges()].flatMap(({ begun, ended }) => [
    ...begun.map(({ object, value }) => `${problemObjectText(object)} ${value}`),
    ...ended.map(({ object, value }) => `ended: ${problemObjectText(object)} ${value}`),
  ]);

test("of many frontends that another Service owns ten are reported, and the number of the others, once while it lasts", () => {
  const state = new DesiredStateBuilder(facts());
  put(state, "shop/a", "10.96.0.1", IPS);
  put(state, "shop/b", "10.96.0.2", IPS);
  const listed = fresh(state);
  expect(listed).toEqual([...IPS.slice(0, 10).map((ip) => `Service shop/b TCP/${ip}:80`), "Service shop/b 15 more"]);
  expect(state.problems.size).toBe(11);
  put(state, "shop/c", "10.96.0.3", []);
  expect(fresh(state)).toEqual([]);
  expect(state.problems.all()).toHaveLength(11);

  // A problem that moves into the list is new; a problem that was listed before is not.
  put(state, "shop/a", "10.96.0.1", IPS.slice(1));
  expect(fresh(state)).toEqual(["Service shop/b TCP/198.51.100.11:80", "ended: Service shop/b TCP/198.51.100.1:80"]);
  state.apply({ kind: "service-deleted", name: serviceName("shop", "a") });
  state.advance(Number.POSITIVE_INFINITY);
  const left = [...IPS.slice(1, 11).map((ip) => `Service shop/b TCP/${ip}:80`), "Service shop/b 14 more"];
  expect(fresh(state)).toEqual(left.map((text) => `ended: ${text}`));
  expect(state.problems.size).toBe(0);
  put(state, "shop/a", "10.96.0.1", IPS.slice(0, 1));
  expect(fresh(state)).toEqual(["Service shop/b TCP/198.51.100.1:80"]);
});

test("a new owner of a frontend causes no report for the Services that it shadows", () => {
  const state = new DesiredStateBuilder(facts());
  for (const [index, name] of ["shop/c", "shop/d", "shop/b"].entries())
    put(state, name, `10.96.0.${index + 1}`, ["198.51.100.1"]);
  expect(fresh(state).sort()).toEqual(["Service shop/c TCP/198.51.100.1:80", "Service shop/d TCP/198.51.100.1:80"]);
  put(state, "shop/a", "10.96.0.9", ["198.51.100.1"]);
  expect(fresh(state)).toEqual(["Service shop/b TCP/198.51.100.1:80"]);
});

test("of many addresses that a Service may not have ten are reported, and the number of the others", () => {
  const state = new DesiredStateBuilder(facts({ nodePorts: IPS }));
  put(state, "shop/a", "10.96.0.1", IPS);
  expect(fresh(state)).toEqual([
    ...IPS.slice(0, 10).map((ip) => `Service shop/a ${ip}`),
    "Service shop/a 15 more problems",
  ]);
});
