import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Addresses, Host } from "../../support/node/netns.ts";
import { Cluster, type PodEndpoint } from "../../support/node/nodes.ts";
import { type ServiceSpec, serviceObject } from "../../support/objects/builders.ts";
import { allAnswered, dropped, IN_VAIN, refused } from "../../support/traffic/answers.ts";
import { type AskOptions, LongClient } from "../../support/traffic/client.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";
import { PORTS, TARGETS } from "../../support/traffic/protocol-ports.ts";
import { spokenProtocols, unloadSCTP } from "../../support/traffic/sctp.ts";

/**
 * Addresses from outside the cluster: those of load balancers, whose packets the host outside sends to a node
 * unchanged, and externalIPs. Pods a and b are on the first node, c on the second, d on the third.
 */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [{ pods: ["a", "b"] }, { pods: ["c"] }, { pods: ["d"] }],
    ports: PROTOCOLS.map((protocol) => `${protocol}:8080`),
  });
  await cluster.start();
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  unloadSCTP();
});

const PROTOCOLS = spokenProtocols();

/** The addresses that load balancer number n has for a Service. */
const ingress = (n: number) => [`172.16.0.${n}`, `fd00:172::${n}`];

describe.each(FAMILY_CASES)("over %s", (family, { vip, ip }) => {
  const node = (number: number) => cluster.node(number).node;
  const outside = (number: number) => cluster.node(number).outside;
  const balanced = (n: number) => ingress(n)[family === "IPv4" ? 0 : 1] ?? "";

  /** Creates Service number n, by default of type LoadBalancer with an address and without NodePorts. */
  const put = (n: number, said: ServiceSpec, endpoints: readonly PodEndpoint[]) =>
    cluster.apply(`s${n}`, [
      serviceObject(`shop/s${n}`, {
        ip: vips(n),
        type: "LoadBalancer",
        loadBalancerIPs: ingress(n),
        ports: PORTS,
        ...said,
      }),
      ...cluster.slices(`shop/s${n}`, endpoints, { ports: TARGETS }),
    ]);

  const via = (number: number, n: number) => cluster.route(balanced(n), cluster.node(number));
  const ask = (from: string | Host, to: string, port = 80, count = 2) =>
    Promise.all(PROTOCOLS.map((protocol) => cluster.client(from).request(protocol, to, port, count)));
  const askInVain = (from: string | Host, to: string, port = 80) =>
    Promise.all(PROTOCOLS.map((protocol) => cluster.client(from).request(protocol, to, port, 1, IN_VAIN)));
  const all = (expected: unknown) => PROTOCOLS.map(() => expected);
  /** The source ranges that contain one host. */
  const own = (host: Addresses) => [`${host.ip}/32`, `${host.ip6}/128`];
  // SCTP ignores ICMP and waits; only the SCTP of the host itself rejects.
  const none = PROTOCOLS.map((protocol) =>
    protocol === "sctp" ? expect.objectContaining({ answers: {}, count: 2 }) : refused(2),
  );
  const askNobody = (from: string | Host, to: string, port: number) =>
    Promise.all(
      PROTOCOLS.map((protocol) =>
        cluster.client(from).request(protocol, to, port, 2, protocol === "sctp" ? IN_VAIN : {}),
      ),
    );

  test("a Service changes from ClusterIP to NodePort to LoadBalancer, changes its ports, and back", async () => {
    const plain = { type: "ClusterIP", loadBalancerIPs: [] };
    const nodePorts = (nodePort: number, port = 80) => ({
      ports: PORTS.map((one) => ({ ...one, port, nodePort })),
    });
    const steps: readonly [
      ServiceSpec,
      alive: readonly (readonly [string, number])[],
      dead: readonly (readonly [string, number])[],
    ][] = [
      [plain, [[vip(1), 80]], [[ip(node(2)), 30_001]]],
      [
        { ...plain, type: "NodePort", ...nodePorts(30_001) },
        [
          [vip(1), 80],
          [ip(node(2)), 30_001],
        ],
        [],
      ],
      [
        nodePorts(30_001),
        [
          [vip(1), 80],
          [ip(node(2)), 30_001],
          [balanced(1), 80],
        ],
        [],
      ],
      [
        nodePorts(30_101),
        [
          [ip(node(2)), 30_101],
          [balanced(1), 80],
        ],
        [[ip(node(2)), 30_001]],
      ],
      [
        nodePorts(30_101, 81),
        [
          [vip(1), 81],
          [ip(node(2)), 30_101],
          [balanced(1), 81],
        ],
        [
          [balanced(1), 80],
          [vip(1), 80],
        ],
      ],
      [
        plain,
        [[vip(1), 80]],
        [
          [ip(node(2)), 30_101],
          [vip(1), 81],
        ],
      ],
    ];
    await via(2, 1);
    await cluster.route(vip(1), cluster.node(2));
    for (const [said, alive, dead] of steps) {
      await put(1, said, ["a", "c"]);
      for (const [to, port] of alive) expect(await ask(outside(2), to, port)).toEqual(all(allAnswered({ a: 1, c: 1 })));
      for (const [to, port] of dead) expect(await askNobody(outside(2), to, port)).toEqual(none);
    }
  });

  test("an address of the policy Cluster serves all clients at every node, and masquerades", async () => {
    await put(2, {}, ["a", "c"]);
    for (const from of ["b", "c", "d", node(1), node(3)])
      expect(await ask(from, balanced(2))).toEqual(all(allAnswered({ a: 1, c: 1 })));
    for (const number of [1, 3]) {
      await via(number, 2);
      for (const { answers, clients } of await ask(outside(number), balanced(2))) {
        expect(answers).toEqual({ a: 1, c: 1 });
        const seen = ["a", "c"].map((pod) => ip(cluster.addressTowards(pod, cluster.node(number))));
        expect(Object.keys(clients).sort()).toEqual([...new Set(seen)].sort());
      }
    }
  });

  test("an address of the policy Local keeps the client's address, and is served on nodes with endpoints", async () => {
    await put(3, { external: "Local" }, ["a", "c"]);
    for (const [number, answers] of [
      [1, { a: 2 }],
      [2, { c: 2 }],
    ] as const) {
      await via(number, 3);
      expect(await ask(outside(number), balanced(3))).toEqual(all(allAnswered(answers, ip(outside(number)))));
    }
    await via(3, 3);
    expect(await askInVain(outside(3), balanced(3))).toEqual(all(dropped(1)));
  });

  test("pods reach an address of the policy Local from any node, with their own addresses", async () => {
    await put(4, { external: "Local" }, ["a"]);
    for (const pod of ["b", "c", "d"])
      expect(await ask(pod, balanced(4))).toEqual(all(allAnswered({ a: 2 }, ip(cluster.pod(pod)))));
    for (const number of [1, 2])
      expect(await ask(node(number), balanced(4))).toEqual(
        all(allAnswered({ a: 2 }, ip(cluster.addressTowards("a", cluster.node(number))))),
      );
  });

  test("an address works without NodePorts, and one that is added later works too", async () => {
    await via(1, 5);
    await put(5, {}, ["a"]);
    expect(await ask(outside(1), balanced(5))).toEqual(all(allAnswered({ a: 2 })));
    await put(5, { ports: PORTS.map((port) => ({ ...port, nodePort: 30_005 })) }, ["a"]);
    expect(await ask(outside(1), ip(node(2)), 30_005)).toEqual(all(allAnswered({ a: 2 })));
    expect(await ask(outside(1), balanced(5))).toEqual(all(allAnswered({ a: 2 })));
  });

  test.each(["Cluster", "Local"])(
    "session affinity holds at an address of the policy %s and is switched in place",
    async (external) => {
      await via(1, 6);
      for (const [affinity, pods] of [
        [{ affinity: 600 }, 1],
        [{}, 2],
        [{ affinity: 600 }, 1],
      ] as const) {
        await put(6, { external, ...affinity }, ["a", "b"]);
        for (const { answers, errors } of await ask(outside(1), balanced(6), 80, 8))
          expect({ pods: Object.keys(answers).length, errors }).toEqual({ pods, errors: {} });
      }
    },
  );

  test("source ranges admit the clients that they contain, also after changes (G-6, G-17)", async () => {
    const halves = ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"];
    const nobody = ["192.0.2.1/32", "2001:db8::1/128"];
    await via(1, 7);
    const froms = ["b", "c", outside(1)] as const;
    for (const [sourceRanges, expected] of [
      [undefined, [true, true, true]],
      [own(cluster.pod("b")), [true, false, false]],
      [own(outside(1)), [false, false, true]],
      [halves, [true, true, true]],
      [nobody, [false, false, false]],
      [[], [true, true, true]],
    ] as const) {
      await put(7, sourceRanges === undefined ? {} : { sourceRanges }, ["a"]);
      const how = (index: number) => (expected[index] ? {} : IN_VAIN);
      const asked = await Promise.all(
        froms.map((from, index) => cluster.client(from).tcp(balanced(7), 80, 1, how(index))),
      );
      expect(asked).toEqual(expected.map((open) => (open ? allAnswered({ a: 1 }) : dropped(1))));
      expect(await cluster.client("c").tcp(vip(7), 80)).toEqual(allAnswered({ a: 1 }));
    }
  });

  test("an address of a load balancer that is a proxy itself is not served", async () => {
    const status = (ipMode: string) => ({
      status: { loadBalancer: { ingress: ingress(12).map((address) => ({ ip: address, ipMode })) } },
    });
    await via(1, 12);
    const froms = ["b", node(1), outside(1)] as const;
    const asked = (how: AskOptions) =>
      Promise.all(froms.map((from) => cluster.client(from).tcp(balanced(12), 80, 1, how)));
    await put(12, status("Proxy"), ["a"]);
    for (const { answers } of await asked(IN_VAIN)) expect(answers).toEqual({});
    expect(await cluster.client("b").tcp(vip(12), 80)).toEqual(allAnswered({ a: 1 }));
    await put(12, status("VIP"), ["a"]);
    for (const answers of await asked({})) expect(answers).toEqual(allAnswered({ a: 1 }));
  });

  test.each([
    [13, "open to all", () => ({})],
    [23, "with source ranges", () => ({ sourceRanges: own(outside(1)) })],
  ])("connections at every address of Service %i, %s, outlive it, and no new ones come", async (n, _, said) => {
    const nodePort = 30_000 + n;
    await via(1, n);
    await put(n, { ports: PORTS.map((port) => ({ ...port, nodePort })), ...said() }, ["a"]);
    const ways = [
      [outside(1), balanced(n), 80],
      [outside(1), ip(node(1)), nodePort],
      [node(1), vip(n), 80],
      [cluster.pod("b"), vip(n), 80],
    ] as const;
    const held = await Promise.all(ways.map(([{ namespace }, to, port]) => LongClient.hold(namespace, to, port)));
    await cluster.apply(`s${n}`, []);
    for (const [from, to, port] of ways)
      for (const { answers } of await askInVain(from, to, port)) expect(answers).toEqual({});
    for (const client of held) {
      const { answers, errors, count } = await client.stop();
      expect({ answers, errors }).toEqual({ answers: { a: count }, errors: {} });
    }
  });

  test("a UDP client that sends from one port follows when its pod is replaced, on its node or another", async () => {
    await via(1, 11);
    for (const [index, pod] of ["a", "b", "c"].entries()) {
      await put(11, {}, [pod]);
      const own = { fromPort: 12_345 };
      const asked = await cluster.client(outside(1)).udp(balanced(11), 80, 2, own);
      expect({ index, asked }).toEqual({ index, asked: allAnswered({ [pod]: 2 }) });
    }
  });

  test("an externalIP that no node has serves pods, nodes and outside", async () => {
    const externalIPs = ["203.0.113.250", "2001:db8::cb00:71fa"];
    const address = externalIPs[family === "IPv4" ? 0 : 1] ?? "";
    await put(8, { type: "ClusterIP", loadBalancerIPs: [], externalIPs }, ["a", "c"]);
    await cluster.route(address, cluster.node(3));
    for (const from of ["b", "d", node(1), outside(3)])
      expect(await ask(from, address)).toEqual(all(allAnswered({ a: 1, c: 1 })));
    await put(8, { type: "ClusterIP", loadBalancerIPs: [], externalIPs, external: "Local" }, ["a", "c"]);
    expect(await askInVain(outside(3), address)).toEqual(all(dropped(1)));
    await cluster.route(address, cluster.node(2));
    expect(await ask(outside(2), address)).toEqual(all(allAnswered({ c: 2 }, ip(outside(2)))));
  });

  test("one port number with several protocols of a load balancer serves all at the ClusterIP", async () => {
    await put(9, { loadBalancerIPs: [] }, ["a", "c"]);
    for (const from of ["b", node(2)]) expect(await ask(from, vip(9))).toEqual(all(allAnswered({ a: 1, c: 1 })));
  });

  test("a ClusterIP of another range works, with its NodePort", async () => {
    const addresses = ["203.0.113.10", "2001:db8:113::10"];
    const ports = PORTS.map((port) => ({ ...port, nodePort: 30_010 }));
    await put(10, { ip: addresses, type: "NodePort", loadBalancerIPs: [], ports }, ["a", "c"]);
    const address = addresses[family === "IPv4" ? 0 : 1] ?? "";
    for (const from of ["b", "d", node(2)]) expect(await ask(from, address)).toEqual(all(allAnswered({ a: 1, c: 1 })));
    expect(await ask(outside(3), ip(node(3)), 30_010)).toEqual(all(allAnswered({ a: 1, c: 1 })));
  });
});
