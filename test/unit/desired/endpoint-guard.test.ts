import { describe, expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../src/desired/desired-state-builder.ts";
import { EndpointGuard } from "../../../src/desired/endpoint-guard.ts";
import { problemObjectText } from "../../../src/model/cluster/problem.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { type EndpointSpec, type ServiceSpec, service, slice } from "../../support/objects/builders.ts";
import { address, type FactsSpec, facts } from "../../support/objects/desired.ts";

const WEB = serviceName("shop", "web");
const put = (state: DesiredStateBuilder, name: string, said: ServiceSpec) =>
  state.apply({ kind: "service-upserted", service: service(name, said) });
const putSlice = (state: DesiredStateBuilder, name: string, endpoints: readonly EndpointSpec[]) =>
  state.apply({ kind: "slice-upserted", slice: slice(name, { endpoints }) });
const advance = (state: DesiredStateBuilder) => state.advance(Number.POSITIVE_INFINITY);

function reasons(state: DesiredStateBuilder): readonly string[] {
  return state.problems
    .all()
    .map(({ object, field, value, reason }) => `${problemObjectText(object)} ${field} ${value} ${reason}`);
}

describe("an external IP that is the address of an endpoint", () => {
  test.each<[string, EndpointSpec]>([
    ["a ready endpoint", "10.0.7.5"],
    ["an endpoint that is not ready", { ip: "10.0.7.5", ready: false }],
    ["an endpoint that terminates", { ip: "10.0.7.5", ready: false, serving: false, terminating: true }],
    ["an endpoint on this node", { ip: "10.0.7.5", node: "n1" }],
  ])("is refused: %s", (_, endpoint) => {
    const state = new DesiredStateBuilder(facts());
    putSlice(state, "data/db-1", ["10.0.7.4", endpoint]);
    put(state, "shop/web", { externalIPs: ["10.0.7.5", "203.0.113.5"] });
    advance(state);
    expect(reasons(state)).toEqual(["Service shop/web spec.externalIPs 10.0.7.5 is the address of an endpoint"]);
    expect([...state.desired.addresses()]).toEqual(["10.96.0.10", "203.0.113.5"]);
  });

  const outcome = (said: FactsSpec) => {
    const state = new DesiredStateBuilder(facts(said));
    putSlice(state, "data/db-1", ["10.0.7.5"]);
    put(state, "shop/web", { externalIPs: ["10.0.7.5"] });
    advance(state);
    return [...reasons(state), ...[...state.desired.servers()].map(({ server }) => server.key)];
  };

  test("in a pod network has one problem, which stays while pods come and go", () => {
    expect(outcome({ podNetworks: ["10.0.7.0/24"] })).toEqual([
      "Service shop/web spec.externalIPs 10.0.7.5 is in the pod network 10.0.7.0/24",
      "TCP/10.96.0.10:80",
    ]);
  });

  test("is served in place if this node has it and shares it with Services, as that cuts no pod off", () => {
    expect(outcome({ own: ["10.0.7.5"] })).toEqual(["TCP/10.96.0.10:80", "TCP/10.0.7.5:80"]);
  });

  test("is served if it is the cluster IP or the address of a load balancer", () => {
    const state = new DesiredStateBuilder(facts());
    putSlice(state, "data/db-1", ["10.0.7.5", "10.96.0.10"]);
    put(state, "shop/web", { loadBalancerIPs: ["10.0.7.5"] });
    advance(state);
    expect(reasons(state)).toEqual([]);
    expect([...state.desired.addresses()]).toEqual(["10.96.0.10", "10.0.7.5"]);
  });

  test("costs no mark for clients of this node", () => {
    const state = new DesiredStateBuilder(facts());
    putSlice(state, "data/db-1", ["10.0.7.5"]);
    put(state, "shop/web", { externalIPs: ["10.0.7.5"], external: "Local" });
    advance(state);
    expect([...state.desired.servers()].map(({ server }) => server.key)).toEqual(["TCP/10.96.0.10:80"]);
  });
});

describe("an external IP whose endpoints are not counted yet", () => {
  const SERVED = address("10.0.7.5");

  test("is not served until the count decides", () => {
    const state = new DesiredStateBuilder(facts());
    for (let index = 0; index < 20; index++) putSlice(state, `data/db-${index}`, [`10.0.7.${index}`]);
    put(state, "shop/web", { externalIPs: ["10.0.7.5", "203.0.113.5"] });
    while (state.stale > 0) {
      state.advance(1);
      expect(state.desired.hasAddress(SERVED)).toBe(false);
    }
    expect(state.desired.hasAddress(address("203.0.113.5"))).toBe(true);
  });

  test.each([
    ["is removed from its Service during the count", ["203.0.113.5"]],
    ["is joined by another one during the count", ["203.0.113.5", "10.0.7.5", "10.0.7.6"]],
  ])("is never served when it %s", (_, externalIPs) => {
    const state = new DesiredStateBuilder(facts());
    for (let index = 0; index < 20; index++) putSlice(state, `data/db-${index}`, [`10.0.7.${index}`]);
    put(state, "shop/web", { externalIPs: ["10.0.7.5"] });
    for (let index = 0; index < 10; index++) state.advance(1);
    put(state, "shop/web", { externalIPs });
    const served = new Set<string>();
    while (state.stale > 0) {
      state.advance(1);
      for (const ip of state.desired.addresses()) served.add(ip);
    }
    expect(served).toEqual(new Set(["10.96.0.10", "203.0.113.5"]));
  });
});

describe("the endpoint guard keeps", () => {
  const slices = Array.from({ length: 10 }, (_, index) => slice(`data/db-${index}`, { endpoints: ["10.0.7.5"] }));

  test("nothing without external IPs, and nothing after they are removed, during a count or after it", () => {
    const guard = new EndpointGuard();
    guard.ask(WEB, []);
    expect([guard.isWatching, [...guard.count(slices)].length]).toEqual([false, 0]);
    guard.ask(WEB, [address("10.0.7.5")]);
    guard.ask(WEB, []);
    expect([guard.isWatching, [...guard.count(slices)].length]).toEqual([false, 0]);
    guard.ask(WEB, [address("10.0.7.5")]);
    const count = guard.count(slices);
    for (let index = 0; index < 5; index++) count.next();
    guard.ask(WEB, []);
    for (const _ of count);
    expect(guard.isWatching).toBe(false);
    guard.ask(WEB, [address("10.0.7.5")]);
    for (const _ of guard.count(slices));
    expect(guard.isWatching).toBe(true);
    guard.ask(WEB, []);
    expect(guard.isWatching).toBe(false);
  });

  test("an address of two Services until the second is deleted", () => {
    const guard = new EndpointGuard();
    const other = serviceName("shop", "other");
    guard.ask(WEB, [address("10.0.7.5")]);
    guard.ask(other, [address("10.0.7.5")]);
    for (const _ of guard.count(slices));
    guard.ask(WEB, []);
    expect(guard.isWatching).toBe(true);
    for (const gone of slices.slice(1)) expect([...guard.replaceSlice(gone, undefined)]).toEqual([]);
    expect([...guard.replaceSlice(slices[0], undefined)]).toEqual([other]);
  });

  test("one pass for all external IPs that were added together", () => {
    const state = new DesiredStateBuilder(facts());
    const count = 200;
    for (let index = 0; index < count; index++) {
      put(state, `shop/s${index}`, { ip: `10.96.1.${index}`, externalIPs: [`203.0.113.${index}`] });
      putSlice(state, `shop/s${index}-1`, [`10.0.7.${index}`]);
    }
    let units = 0;
    for (; state.stale > 0; units++) state.advance(1);
    // Each Service and each slice costs a few units; a pass for each Service would cost 40,000 more.
    expect(units).toBeLessThan(10 * count);
  });
});
