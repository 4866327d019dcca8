import { describe, expect, test } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import type { DesiredService } from "../../../src/desired/service/desired-service.ts";
import { type ServiceName, serviceName } from "../../../src/model/cluster/service.ts";
import { markedServerKey, virtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { KeyLists, Keys } from "../../../src/model/kernel/keys.ts";
import type { ServiceSpec } from "../../support/objects/builders.ts";
import { address, built } from "../../support/objects/desired.ts";

const A = serviceName("shop", "a");
const B = serviceName("shop", "b");
const C = serviceName("shop", "c");
const KEY = virtualServerKey("TCP", address("10.96.0.10"), 80);

const stateOf = (endpoints: readonly string[], said: ServiceSpec = {}) =>
  built("shop/any", said, { "shop/any-1": { endpoints: endpoints.map((ip) => ({ ip, node: "n1" })) } });

function keys({ servers, addresses, entries }: Keys): readonly string[] {
  return [...servers, ...addresses, ...entries].sort();
}

/** The same state, owned by the named Service. */
function put(desired: DesiredState, name: ServiceName, state: DesiredService | undefined): KeyLists {
  if (state === undefined) return desired.replace(name, undefined);
  return desired.replace(name, { ...state, servers: state.servers.map((server) => ({ ...server, service: name })) });
}

const realsOf = (desired: DesiredState) =>
  desired
    .server(KEY)
    ?.reals.list()
    .map(({ key }) => key) ?? [];

/** Counts all objects, to check the running counts against. */
function counted(desired: DesiredState): ReturnType<DesiredState["counts"]> {
  const servers = [...desired.servers()];
  return {
    virtualServers: servers.length,
    realServers: servers.reduce((sum, { reals }) => sum + reals.size, 0),
    addresses: [...desired.addresses()].length,
    entries: [...desired.entries()].length,
  };
}

describe("a change of a Service marks the keys of", () => {
  const NEW = ["10.96.0.10", "KUBE-CLUSTER-IP 10.96.0.10,tcp:80", "KUBE-IPVS-IPS 10.96.0.10", "TCP/10.96.0.10:80"];
  const LOOP_5 = "KUBE-LOOP-BACK 10.244.1.5,tcp:8080,10.244.1.5";
  const LOOP_6 = "KUBE-LOOP-BACK 10.244.1.6,tcp:8080,10.244.1.6";
  const one = stateOf(["10.244.1.5"]);

  const rows: readonly (readonly [string, ReturnType<typeof stateOf> | undefined, readonly string[]])[] = [
    ["no object, if the content is the same", stateOf(["10.244.1.5"]), []],
    [
      "the virtual server whose endpoint changed",
      stateOf(["10.244.1.6"]),
      [LOOP_5, LOOP_6, "TCP/10.96.0.10:80"].sort(),
    ],
    ["the virtual server that got an endpoint", stateOf(["10.244.1.5", "10.244.1.6"]), [LOOP_6, "TCP/10.96.0.10:80"]],
    ["the virtual server that lost its endpoint", stateOf([]), [LOOP_5, "TCP/10.96.0.10:80"]],
    ["the virtual server whose affinity changed", stateOf(["10.244.1.5"], { affinity: 60 }), ["TCP/10.96.0.10:80"]],
    ["all its objects, if the Service is deleted", undefined, [...NEW, LOOP_5].sort()],
    [
      "the old and the new port, but not their shared address",
      stateOf(["10.244.1.5"], { ports: [81] }),
      [
        "KUBE-CLUSTER-IP 10.96.0.10,tcp:80",
        "KUBE-CLUSTER-IP 10.96.0.10,tcp:81",
        "TCP/10.96.0.10:80",
        "TCP/10.96.0.10:81",
      ],
    ],
  ];
  test.each(rows)("%s", (_, next, expected) => {
    const desired = new DesiredState();
    expect(keys(put(desired, A, one))).toEqual([...NEW, LOOP_5].sort());
    expect(keys(put(desired, A, next))).toEqual(expected);
    expect(desired.counts()).toEqual(counted(desired));
    put(desired, A, undefined);
    expect(desired.counts()).toEqual({ virtualServers: 0, realServers: 0, addresses: 0, entries: 0 });
  });

  test("no object, if a Service without desired objects is deleted", () => {
    expect(keys(put(new DesiredState(), A, undefined))).toEqual([]);
  });
});

describe("if several Services claim one virtual server", () => {
  const five = stateOf(["10.244.1.5"]);
  const six = stateOf(["10.244.1.6"]);
  const seven = stateOf(["10.244.1.7"]);
  const states = new Map<ServiceName, ReturnType<typeof stateOf>>([
    [A, five],
    [B, six],
    [C, seven],
  ]);

  const orders = [
    [A, B, C],
    [A, C, B],
    [B, A, C],
    [B, C, A],
    [C, A, B],
    [C, B, A],
  ];
  test.each(orders)("the first by name owns it, in the order %s, %s, %s", (...order) => {
    const desired = new DesiredState();
    for (const name of order) put(desired, name, states.get(name));
    expect(desired.owner(KEY)).toBe(A);
    expect(realsOf(desired)).toEqual(["10.244.1.5:8080"]);
    expect([...desired.conflicts()].sort((one, other) => (one.shadowed < other.shadowed ? -1 : 1))).toEqual([
      { key: KEY, owner: A, shadowed: B },
      { key: KEY, owner: A, shadowed: C },
    ]);
    expect(desired.counts()).toMatchObject({ virtualServers: 1, realServers: 1, addresses: 1, entries: 5 });
  });

  test("and the owner is deleted, the next by name owns it, and no other Service is touched", () => {
    const desired = new DesiredState();
    for (const [name, state] of states) put(desired, name, state);
    expect(keys(put(desired, A, undefined))).toEqual([
      "KUBE-LOOP-BACK 10.244.1.5,tcp:8080,10.244.1.5",
      "TCP/10.96.0.10:80",
    ]);
    expect(realsOf(desired)).toEqual(["10.244.1.6:8080"]);
    expect([...desired.conflicts()]).toEqual([{ key: KEY, owner: B, shadowed: C }]);
    put(desired, B, undefined);
    expect(desired.owner(KEY)).toBe(C);
    expect([...desired.conflicts()]).toEqual([]);
    put(desired, C, undefined);
    expect(desired.server(KEY)).toBeUndefined();
    expect(desired.counts()).toEqual({ virtualServers: 0, realServers: 0, addresses: 0, entries: 0 });
  });

  test("a next owner with the same state changes no key", () => {
    const desired = new DesiredState();
    put(desired, A, five);
    expect(keys(put(desired, B, stateOf(["10.244.1.5"])))).toEqual([]);
    expect(keys(put(desired, A, undefined))).toEqual([]);
    expect(desired.owner(KEY)).toBe(B);
  });

  test("a change of a shadowed Service marks only its own objects", () => {
    const desired = new DesiredState();
    put(desired, A, five);
    put(desired, B, six);
    expect(keys(put(desired, B, stateOf(["10.244.1.9"])))).toEqual([
      "KUBE-LOOP-BACK 10.244.1.6,tcp:8080,10.244.1.6",
      "KUBE-LOOP-BACK 10.244.1.9,tcp:8080,10.244.1.9",
    ]);
    expect(keys(put(desired, B, undefined))).toEqual(["KUBE-LOOP-BACK 10.244.1.9,tcp:8080,10.244.1.9"]);
    expect(desired.owner(KEY)).toBe(A);
    expect([...desired.conflicts()]).toEqual([]);
  });

  test("an earlier name that is added later takes it over", () => {
    const desired = new DesiredState();
    put(desired, B, stateOf(["10.244.1.6", "10.244.1.7"]));
    expect(keys(put(desired, A, five))).toContain(KEY);
    expect(realsOf(desired)).toEqual(["10.244.1.5:8080"]);
    expect(desired.counts()).toEqual(counted(desired));
  });

  test("conflicts of a Service are listed in the order of its frontends", () => {
    const desired = new DesiredState();
    for (const name of [A, B])
      put(
        desired,
        name,
        stateOf([], {
          ports: [
            { name: "b", port: 90 },
            { name: "a", port: 80 },
          ],
        }),
      );
    expect(Array.from(desired.conflicts(), ({ key }) => key)).toEqual(["TCP/10.96.0.10:90", "TCP/10.96.0.10:80"]);
  });
});

test("an address and its members stay until the last Service that needs them is deleted", () => {
  const desired = new DesiredState();
  const entry = "KUBE-IPVS-IPS 10.96.0.10";
  put(desired, A, stateOf([], { ports: [80] }));
  put(desired, B, stateOf([], { ports: [81] }));
  put(desired, C, stateOf([], { ports: [82] }));
  for (const name of [B, A]) {
    expect(keys(put(desired, name, undefined))).not.toContain("10.96.0.10");
    expect(desired.hasAddress(address("10.96.0.10"))).toBe(true);
  }
  expect(keys(put(desired, C, undefined))).toEqual(expect.arrayContaining(["10.96.0.10", entry]));
  expect(desired.hasAddress(address("10.96.0.10"))).toBe(false);
});

describe("the set members of a frontend", () => {
  const MARK = 0x1001;
  const balanced = (said: ServiceSpec) =>
    built("shop/any", { loadBalancerIPs: ["203.0.113.1"], external: "Local", ...said }, {}, {}, () => MARK);
  const open = built("shop/any", { ip: "10.96.0.11", loadBalancerIPs: ["203.0.113.1"] });
  const restricted = balanced({ sourceRanges: ["192.0.2.0/24"] });
  const members = (desired: DesiredState) =>
    [...desired.entries()]
      .map(({ key }) => key as string)
      .filter((key) => key.includes("203.0.113.1,"))
      .sort();
  const OPEN = ["KUBE-LOAD-BALANCER 203.0.113.1,tcp:80"];
  const RESTRICTED = [
    "KUBE-LOAD-BALANCER 203.0.113.1,tcp:80",
    "KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80",
    "KUBE-LOAD-BALANCER-LOCAL 203.0.113.1,tcp:80",
    "KUBE-LOAD-BALANCER-SOURCE-CIDR 203.0.113.1,tcp:80,192.0.2.0/24",
    "KUBE-LOCAL-MARK 203.0.113.1,tcp:80 skbmark 0x1001/0x107f",
  ];

  test.each([
    [[A, B], OPEN],
    [[B, A], OPEN],
  ])("are those of the first Service by name, in the order %j", (order, expected) => {
    const desired = new DesiredState();
    for (const name of order) put(desired, name, name === A ? open : restricted);
    expect(members(desired)).toEqual(expected);
    expect(desired.counts()).toEqual(counted(desired));
  });

  test("are replaced by those of the next owner, and restored when the first Service returns", () => {
    const desired = new DesiredState();
    put(desired, A, open);
    put(desired, B, restricted);
    const gained = keys(put(desired, A, undefined));
    expect(members(desired)).toEqual(RESTRICTED);
    expect(gained).toEqual(expect.arrayContaining(RESTRICTED.slice(1)));
    expect(gained).not.toContain(RESTRICTED[0]);
    expect(keys(put(desired, A, open))).toEqual(expect.arrayContaining(RESTRICTED.slice(1)));
    expect(members(desired)).toEqual(OPEN);
  });

  test("do not include a mark that another Service owns now", () => {
    const desired = new DesiredState();
    const other = built(
      "shop/any",
      { ip: "10.96.0.12", externalIPs: ["198.51.100.1"], external: "Local" },
      {},
      {},
      () => MARK,
    );
    put(desired, B, restricted);
    expect(keys(put(desired, A, other))).toContain("KUBE-LOCAL-MARK 203.0.113.1,tcp:80 skbmark 0x1001/0x107f");
    expect(members(desired)).toEqual(RESTRICTED.slice(0, -1));
    expect(desired.owner(markedServerKey("IPv4", MARK))).toBe(A);
  });
});

describe("the Services of an object", () => {
  const desired = new DesiredState();
  put(desired, A, stateOf(["10.244.1.5"], { externalIPs: ["192.0.2.1"] }));
  put(desired, B, stateOf(["10.244.1.5"], { ip: "10.96.0.11", externalIPs: ["192.0.2.1"], ports: [81] }));
  for (const name of ["c", "d"])
    put(desired, serviceName("shop", name), stateOf([], { ip: "10.96.0.12", externalIPs: ["192.0.2.1"], ports: [82] }));
  const walk = (sought: Partial<Keys>) =>
    Object.fromEntries(desired.servicesOf({ servers: [], addresses: [], entries: [], ...sought }));
  const entryOf = (text: string) => [...desired.entries()].map(({ key }) => key).filter((key) => key.includes(text));

  test("are those that claim it, at most three", () => {
    expect(walk({ servers: [KEY] })).toEqual({ [KEY]: [A] });
    expect(walk({ addresses: [address("10.96.0.11"), address("192.0.2.1"), address("192.0.2.2")] })).toEqual({
      "10.96.0.11": [B],
      "192.0.2.1": [A, B, C],
    });
    const [shared = ""] = entryOf("KUBE-IPVS-IPS 192.0.2.1");
    expect(walk({ entries: entryOf("KUBE-IPVS-IPS 192.0.2.1") })).toEqual({ [shared]: [A, B, C] });
  });

  test("do not include a Service whose frontend another Service owns", () => {
    const [member = ""] = entryOf("KUBE-CLUSTER-IP 10.96.0.12,tcp:82");
    expect(walk({ entries: entryOf("KUBE-CLUSTER-IP 10.96.0.12,tcp:82") })).toEqual({ [member]: [C] });
    expect(walk({ servers: [virtualServerKey("TCP", address("10.96.0.12"), 82)] })).toEqual({
      "TCP/10.96.0.12:82": [C],
    });
  });
});
