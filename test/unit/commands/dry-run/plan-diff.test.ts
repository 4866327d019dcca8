import { describe, expect, test } from "vitest";
import { differences, type Ours, renderDifferences } from "../../../../src/commands/dry-run/differences.ts";
import type { Observed } from "../../../../src/kernel/kernel.ts";
import type { RealServer } from "../../../../src/model/kernel/ipvs.ts";
import { RealServers } from "../../../../src/model/kernel/real-servers.ts";
import type { ServerState } from "../../../../src/model/kernel/server-state.ts";
import { boundVips, type VipBindings } from "../../../../src/model/vip-binding.ts";
import { address } from "../../../support/objects/desired.ts";
import { desiredOf, type Given, WEB } from "../../../support/objects/desired-shop.ts";

describe("diff", () => {
  const OTHER: Given = {
    other: [{ ip: "10.96.0.99" }, { "shop/other-1": { endpoints: [{ ip: "10.244.9.9", node: "n2" }] } }],
  };
  const everything: Ours = {
    binding: "address",
    server: () => true,
    address: () => true,
    entry: () => true,
    drains: () => false,
  };
  const nothing: Ours = {
    binding: "address",
    server: () => false,
    address: () => false,
    entry: () => false,
    drains: () => false,
  };

  function seen(given: Given, change: (state: ServerState) => ServerState = (state) => state): Observed {
    const desired = desiredOf(given);
    return {
      servers: new Map([...desired.servers()].map((state) => [state.server.key, change(state)])),
      unnamedServers: 0,
      addresses: boundVips({ address: desired.addresses(), route: [] }),
      entries: new Map([...desired.entries()].map((entry) => [entry.key, entry])),
    };
  }
  const reals = (change: (real: RealServer) => RealServer | undefined) => (state: ServerState) => ({
    ...state,
    reals: RealServers.of(state.reals.list().flatMap((real) => change(real) ?? [])),
  });
  const otherThan = (text: string) => (real: RealServer) => (real.address === text ? undefined : real);
  const OTHER_LINES = [
    "-A -t 10.96.0.99:80 -s rr",
    "-a -t 10.96.0.99:80 -r 10.244.9.9:8080 -m -w 1",
    "add KUBE-CLUSTER-IP 10.96.0.99,tcp:80",
    "add KUBE-IPVS-IPS 10.96.0.99",
    "address add 10.96.0.99/32 dev kube-ipvs0",
  ];

  const rows: readonly (readonly [string, Given, Observed, Ours, readonly string[]])[] = [
    ["equal", WEB, seen(WEB), everything, []],
    ["missing", { ...WEB, ...OTHER }, seen(WEB), everything, OTHER_LINES.map((line) => `+ ${line}`)],
    ["unwanted", WEB, seen({ ...WEB, ...OTHER }), everything, OTHER_LINES.map((line) => `- ${line}`)],
    ["others' is no difference", WEB, seen({ ...WEB, ...OTHER }), nothing, []],
    [
      "another weight",
      OTHER,
      seen(
        OTHER,
        reals((real) => ({ ...real, weight: 0 })),
      ),
      everything,
      ["~ -a -t 10.96.0.99:80 -r 10.244.9.9:8080 -m -w 1 # is -a -t 10.96.0.99:80 -r 10.244.9.9:8080 -m -w 0"],
    ],
    [
      "another timeout",
      WEB,
      seen(WEB, (state) => ({ ...state, server: { ...state.server, persistenceSeconds: 5 } })),
      everything,
      ["~ -A -t 10.96.0.10:80 -s rr -p 600 # is -A -t 10.96.0.10:80 -s rr -p 5"],
    ],
    [
      "a missing real server",
      WEB,
      seen(WEB, reals(otherThan("10.244.2.5"))),
      everything,
      ["+ -a -t 10.96.0.10:80 -r 10.244.2.5:8080 -m -w 1"],
    ],
    [
      "a real server of a desired virtual server that is not desired, from any program",
      { web: [{ affinity: 600 }, { "shop/web-1": { endpoints: [{ ip: "10.244.1.5", node: "n1" }] } }] },
      seen(WEB),
      nothing,
      ["- -a -t 10.96.0.10:80 -r 10.244.2.5:8080 -m -w 1"],
    ],
  ];
  test.each(rows)("%s", (_, desired, observed, ours, expected) => {
    expect(differences(desiredOf(desired), observed, ours).map(({ line }) => line)).toEqual(expected);
  });

  const ROUTED: Ours = { ...everything, binding: "route" };
  const route = (ip: string) => `route add local ${ip}/32 dev lo table local proto 173 metric 173`;
  const bound = (bindings: VipBindings): Observed => ({
    ...seen(WEB),
    addresses: new Map([[address("10.96.0.10"), bindings]]),
  });
  const [ADDED, ADDRESS] = [route("10.96.0.10"), "address add 10.96.0.10/32 dev kube-ipvs0"];

  test.each<[string, Given, Observed, Ours, readonly string[]]>([
    ["by its route alone", WEB, bound("route"), ROUTED, []],
    ["as an address, and should have a route", WEB, bound("address"), ROUTED, [`+ ${ADDED}`, `- ${ADDRESS}`]],
    ["by a route, and should be an address", WEB, bound("route"), everything, [`+ ${ADDRESS}`, `- ${ADDED}`]],
    ["in both ways", WEB, bound("both"), ROUTED, [`- ${ADDRESS}`]],
    ["in both ways, in an excluded network", WEB, bound("both"), { ...ROUTED, address: () => false }, []],
  ])("a VIP that is bound %s", (_, desired, observed, ours, expected) => {
    const found = differences(desiredOf(desired), observed, ours).map(({ line }) => line);
    expect(found).toEqual(expected.toSorted());
  });

  test("a VIP that is not desired has a line for each of its bindings", () => {
    const found = differences(desiredOf({}), { ...bound("both"), servers: new Map(), entries: new Map() }, ROUTED);
    expect(found.map(({ line }) => line)).toEqual([`- ${ADDRESS}`, `- ${ADDED}`]);
  });

  const draining: Ours = { ...everything, drains: (_, { weight }) => weight === 0 };

  test("a real server that drains is no difference, and one that only should drain is", () => {
    const one = {
      web: [{ affinity: 600 }, { "shop/web-1": { endpoints: [{ ip: "10.244.1.5", node: "n1" }] } }],
    } as Given;
    const drained = reals((real) => (real.address === "10.244.2.5" ? { ...real, weight: 0 } : real));
    expect(differences(desiredOf(one), seen(WEB, drained), draining)).toEqual([]);
    expect(differences(desiredOf(one), seen(WEB), draining)).toHaveLength(1);
  });

  test("a removed Service that drains is no difference, with its address and its members", () => {
    const drained = (state: ServerState) =>
      state.server.address === "10.96.0.99" ? reals((real) => ({ ...real, weight: 0 }))(state) : state;
    expect(differences(desiredOf(WEB), seen({ ...WEB, ...OTHER }, drained), draining)).toEqual([]);
  });

  test("differences are printed below the name of their Service, and those of no Service below the node", () => {
    const found = differences(desiredOf({ ...WEB, ...OTHER }), seen(WEB), everything);
    const text = renderDifferences([...found, { line: "~ the rules differ", service: undefined }]);
    expect(text).toBe(
      ["# shop/other", ...OTHER_LINES.map((line) => `+ ${line}`), "", "# node", "~ the rules differ", ""].join("\n"),
    );
    expect(renderDifferences([])).toBe("");
  });
});
