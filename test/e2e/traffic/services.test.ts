import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, type PodEndpoint, type SliceMore } from "../../support/node/nodes.ts";
import { type PortSpec, type ServiceSpec, serviceObject } from "../../support/objects/builders.ts";
import { allAnswered, IN_VAIN, refused } from "../../support/traffic/answers.ts";
import type { AskOptions } from "../../support/traffic/client.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/** The life of Services for all clients of a cluster of two nodes: pods a and b on the first, c and d on the second. */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [{ pods: ["a", "b"] }, { pods: ["c", "d"] }],
    ports: ["tcp:8080", "tcp:8081", "udp:8080"],
  });
  await cluster.start();
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

const UDP = { name: "udp", port: 80, protocol: "UDP" };
const UDP_TARGET = { name: "udp", port: 8080, protocol: "UDP" };
const TCP = { name: "tcp", port: 80 };
const TCP_TARGET = { name: "tcp", port: 8080 };

/** Creates Service number n with these fields, on these pods. */
function put(n: number, said: ServiceSpec, pods: readonly PodEndpoint[], more?: SliceMore): Promise<void> {
  return cluster.apply(`s${n}`, [
    serviceObject(`shop/s${n}`, { ip: vips(n), ...said }),
    ...cluster.slices(`shop/s${n}`, pods, more),
  ]);
}

describe.each(FAMILY_CASES)("over %s", (_, { vip, ip }) => {
  const node = (number: number) => cluster.node(number).node;

  test("endpoints are added and removed on either node, and both nodes follow", async () => {
    for (const pods of [["a"], ["a", "c"], ["c"], ["b", "c"]] as const) {
      await put(1, {}, pods);
      const all = allAnswered(Object.fromEntries(pods.map((pod) => [pod, 2])));
      for (const client of ["b", "d", node(1), node(2)])
        expect(await cluster.client(client).tcp(vip(1), 80, 2 * pods.length)).toEqual(all);
    }
    await put(1, {}, []);
    for (const client of ["b", "d", node(1), node(2)])
      expect(await cluster.client(client).tcp(vip(1), 80, 2)).toEqual(refused(2));
  });

  test("each port leads to the pods that have it", async () => {
    await cluster.apply("s2", [
      serviceObject("shop/s2", {
        ip: vips(2),
        ports: [
          { name: "one", port: 80 },
          { name: "two", port: 81 },
        ],
      }),
      ...cluster.slices("shop/one", ["a"], { service: "s2", ports: [{ name: "one", port: 8080 }] }),
      ...cluster.slices("shop/two", ["c"], { service: "s2", ports: [{ name: "two", port: 8081 }] }),
    ]);
    for (const client of ["b", "d"]) {
      expect(await cluster.client(client).tcp(vip(2), 80, 2)).toEqual(allAnswered({ a: 2 }));
      expect(await cluster.client(client).tcp(vip(2), 81, 2)).toEqual(allAnswered({ c: 2 }));
    }
  });

  test("an added port is served, and a removed one rejects", async () => {
    const more = { name: "more", port: 81 };
    const targets = [TCP_TARGET, { name: "more", port: 8081 }];
    const ask = (port: number) => cluster.client("d").tcp(vip(3), port, 2);
    await put(3, { ports: [TCP] }, ["a"], { ports: targets });
    expect(await ask(81)).toEqual(refused(2));
    await put(3, { ports: [TCP, more] }, ["a"], { ports: targets });
    expect([await ask(80), await ask(81)]).toEqual([allAnswered({ a: 2 }), allAnswered({ a: 2 })]);
    await put(3, { ports: [more] }, ["a"], { ports: targets });
    expect([await ask(80), await ask(81)]).toEqual([refused(2), allAnswered({ a: 2 })]);
  });

  test("the client's address reaches endpoints of its own node and of others, over TCP and UDP", async () => {
    await put(4, { ports: [TCP, UDP] }, ["a", "c"], { ports: [TCP_TARGET, UDP_TARGET] });
    for (const name of ["b", "d"])
      for (const protocol of ["tcp", "udp"] as const)
        expect(await cluster.client(name).request(protocol, vip(4), 80, 4)).toEqual(
          allAnswered({ a: 2, c: 2 }, ip(cluster.pod(name))),
        );
  });

  test("a Service is added and deleted while others are served", async () => {
    await put(5, {}, ["a", "c"]);
    await put(6, {}, ["b", "d"]);
    const ask = (n: number) => Promise.all(["a", node(2)].map((from) => cluster.client(from).tcp(vip(n), 80, 4)));
    const twice = (...pods: readonly string[]) => {
      const each = allAnswered(Object.fromEntries(pods.map((pod) => [pod, 2])));
      return [each, each];
    };
    expect([await ask(5), await ask(6)]).toEqual([twice("a", "c"), twice("b", "d")]);
    await put(7, {}, ["a", "d"]);
    await cluster.apply("s5", []);
    for (const from of ["b", node(1)])
      expect((await cluster.client(from).tcp(vip(5), 80, 2, IN_VAIN)).answers).toEqual({});
    expect([await ask(6), await ask(7)]).toEqual([twice("b", "d"), twice("a", "d")]);
  });

  test("a Service that is created again works, with its old address and with a new one", async () => {
    const objects = (n: number) => [
      serviceObject("shop/again", { ip: vips(n) }),
      ...cluster.slices("shop/again", ["a", "c"]),
    ];
    for (const n of [8, 8, 9]) {
      await cluster.apply("again", objects(n));
      expect(await cluster.client("d").tcp(vip(n), 80, 4)).toEqual(allAnswered({ a: 2, c: 2 }));
      await cluster.apply("again", []);
      expect((await cluster.client("d").tcp(vip(n), 80, 2, IN_VAIN)).answers).toEqual({});
    }
  });

  test("a NodePort is served on every address of both nodes, from pods, nodes and outside", async () => {
    await put(10, { ports: [{ ...TCP, nodePort: 30_010 }] }, ["a", "c"], { ports: [TCP_TARGET] });
    for (const { node: host, gateway, outside } of cluster.nodes) {
      for (const from of ["b", "d", node(1), node(2), outside])
        expect(await cluster.client(from).tcp(ip(host), 30_010, 2)).toEqual(allAnswered({ a: 1, c: 1 }));
      expect(await cluster.client("b").tcp(ip(gateway), 30_010, 2)).toEqual(allAnswered({ a: 1, c: 1 }));
    }
  });

  test("clients of a NodePort from outside are masqueraded to the node, for endpoints on any node", async () => {
    await put(11, { ports: [{ ...TCP, nodePort: 30_011 }] }, ["a", "c"], { ports: [TCP_TARGET] });
    for (const member of cluster.nodes) {
      const { clients } = await cluster.client(member.outside).tcp(ip(member.node), 30_011, 4);
      const seen = ["a", "c"].map((pod) => [ip(cluster.addressTowards(pod, member)), 2]);
      expect(clients).toEqual(Object.fromEntries(seen));
    }
  });

  test("one port number serves TCP and UDP on NodePorts, and each is removed separately", async () => {
    const [tcp, udp] = [
      { ...TCP, nodePort: 30_012 },
      { ...UDP, nodePort: 30_012 },
    ];
    const ask = async () => {
      const client = cluster.client(cluster.node(2).outside);
      return [await client.tcp(ip(node(2)), 30_012, 2), await client.udp(ip(node(2)), 30_012, 2)];
    };
    const [yes, no] = [allAnswered({ a: 2 }), refused(2)];
    const steps: readonly [readonly PortSpec[], readonly unknown[]][] = [
      [[tcp], [yes, no]],
      [
        [tcp, udp],
        [yes, yes],
      ],
      [[tcp], [yes, no]],
      [[udp], [no, yes]],
    ];
    for (const [ports, expected] of steps) {
      await put(12, { ports }, ["a"], { ports: [TCP_TARGET, UDP_TARGET] });
      expect(await ask()).toEqual(expected);
    }
  });

  test("a ClusterIP port with two protocols loses only the removed one", async () => {
    const ask = async () => [
      await cluster.client("d").tcp(vip(13), 80, 2),
      await cluster.client("d").udp(vip(13), 80, 2),
    ];
    const [yes, no] = [allAnswered({ a: 2 }), refused(2)];
    for (const [ports, expected] of [
      [
        [TCP, UDP],
        [yes, yes],
      ],
      [[TCP], [yes, no]],
      [[UDP], [no, yes]],
    ] as const) {
      await put(13, { ports }, ["a"], { ports: [TCP_TARGET, UDP_TARGET] });
      expect(await ask()).toEqual(expected);
    }
  });

  test.each<[string, ServiceSpec]>([
    ["ClusterIP", { ports: [TCP] }],
    ["NodePort", { ports: [{ ...TCP, nodePort: 30_014 }] }],
  ])("a Service turns from ExternalName to %s and back", async (type, spec) => {
    const external = { type: "ExternalName", ip: [], spec: { externalName: "shop.example", clusterIP: "" } };
    const ask = async (how: AskOptions = {}) => [
      await cluster.client("d").tcp(vip(14), 80, 2, how),
      await cluster.client(cluster.node(1).outside).tcp(ip(node(1)), 30_014, 2),
    ];
    const nodePort = type === "NodePort" ? allAnswered({ a: 2 }) : refused(2);
    const gone = [expect.objectContaining({ answers: {} }), refused(2)];
    await put(14, external, ["a"], { ports: [TCP_TARGET] });
    expect(await ask(IN_VAIN)).toEqual(gone);
    await put(14, { ...spec, type }, ["a"], { ports: [TCP_TARGET] });
    expect(await ask()).toEqual([allAnswered({ a: 2 }), nodePort]);
    await put(14, external, ["a"], { ports: [TCP_TARGET] });
    expect(await ask(IN_VAIN)).toEqual(gone);
  });

  test("the label of another proxy removes a Service, and removing the label restores it", async () => {
    const labels = { "service.kubernetes.io/service-proxy-name": "" };
    const ask = (how: AskOptions = {}) => cluster.client("d").tcp(vip(15), 80, 2, how);
    await put(15, { labels }, ["a"]);
    expect((await ask(IN_VAIN)).answers).toEqual({});
    await put(15, {}, ["a"]);
    expect(await ask()).toEqual(allAnswered({ a: 2 }));
    await put(15, { labels }, ["a"]);
    expect((await ask(IN_VAIN)).answers).toEqual({});
  });

  test("a Service with the headless label on its slices rejects", async () => {
    await put(16, {}, ["a"]);
    expect(await cluster.client("d").tcp(vip(16), 80, 2)).toEqual(allAnswered({ a: 2 }));
    await put(16, {}, ["a"], { labels: { "service.kubernetes.io/headless": "" } });
    expect(await cluster.client("d").tcp(vip(16), 80, 2)).toEqual(refused(2));
  });

  test("two Services of the same pods are independent", async () => {
    await put(17, { ports: [{ ...TCP, nodePort: 30_017 }] }, ["a", "c"], { ports: [TCP_TARGET] });
    await put(18, { ports: [{ ...TCP, nodePort: 30_018 }] }, ["a", "c"], { ports: [TCP_TARGET] });
    expect(await cluster.client("b").tcp(vip(17), 80, 4)).toEqual(allAnswered({ a: 2, c: 2 }));
    await cluster.apply("s17", []);
    expect(await cluster.client(cluster.node(1).outside).tcp(ip(node(1)), 30_017, 2)).toEqual(refused(2));
    expect(await cluster.client("b").tcp(vip(18), 80, 4)).toEqual(allAnswered({ a: 2, c: 2 }));
    expect(await cluster.client(cluster.node(2).outside).tcp(ip(node(2)), 30_018, 4)).toEqual(
      allAnswered({ a: 2, c: 2 }),
    );
  });
});

test.each<[string, readonly string[], readonly string[]]>([
  ["IPv4 alone", ["10.96.1.1"], ["fd00:96::1:1"]],
  ["IPv6 alone", ["fd00:96::1:2"], ["10.96.1.2"]],
  ["IPv4 and IPv6", ["10.96.1.3", "fd00:96::1:3"], []],
  ["IPv6 and IPv4", ["fd00:96::1:4", "10.96.1.4"], []],
])("a Service of %s is served at its addresses and no others", async (name, addresses, others) => {
  const service = `shop/${name.toLowerCase().replaceAll(" ", "-")}`;
  await cluster.apply("families", [
    serviceObject(service, { ip: addresses, ports: [{ ...TCP, nodePort: 30_020 }] }),
    ...cluster.slices(service, ["a", "c"], { ports: [TCP_TARGET] }),
  ]);
  for (const address of addresses)
    expect(await cluster.client("d").tcp(address, 80, 2)).toEqual(allAnswered({ a: 1, c: 1 }));
  for (const address of others) expect((await cluster.client("d").tcp(address, 80, 1, IN_VAIN)).answers).toEqual({});
  const { node, outside } = cluster.node(2);
  for (const [, { ip }] of FAMILY_CASES) {
    const hasFamily = addresses.some((address) => address.includes(":") === ip(node).includes(":"));
    const expected = hasFamily ? allAnswered({ a: 1, c: 1 }) : refused(2);
    expect(await cluster.client(outside).tcp(ip(node), 30_020, 2)).toEqual(expected);
  }
});

test("connections from pod to pod are not masqueraded, on one node or between nodes", async () => {
  // From ports of its own: IPVS takes the answer for that of a connection to a Service, of which it remembers the pod and
  // both ports for two minutes after its end.
  let fromPort = 20_000;
  for (const [, { ip }] of FAMILY_CASES)
    for (const to of ["a", "c"])
      expect(await cluster.client("b").tcp(ip(cluster.pod(to)), 8080, 1, { fromPort: fromPort++ })).toEqual(
        allAnswered({ [to]: 1 }, ip(cluster.pod("b"))),
      );
});
