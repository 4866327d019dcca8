import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster } from "../../support/node/nodes.ts";
import { serviceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { allAnswered } from "../../support/traffic/answers.ts";
import { LongClient } from "../../support/traffic/client.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";
import { PORTS, TARGETS } from "../../support/traffic/protocol-ports.ts";
import { spokenProtocols, unloadSCTP } from "../../support/traffic/sctp.ts";

/**
 * Every way to a Service in a cluster of two nodes: from pods, nodes, endpoints and outside, to ClusterIPs and NodePorts,
 * over TCP, UDP and SCTP, to pods and to processes of the nodes. Pods a and b are on the first node, c and d on the second.
 */
let cluster: Cluster;

const PROTOCOLS = spokenProtocols();

/** A Service with NodePort 30000 + n on these pods. */
function service(n: number, pods: readonly string[], affinity: { readonly affinity?: number } = {}) {
  return [
    serviceObject(`shop/s${n}`, {
      ip: vips(n),
      ports: PORTS.map((port) => ({ ...port, nodePort: 30_000 + n })),
      ...affinity,
    }),
    ...cluster.slices(`shop/s${n}`, pods, { ports: TARGETS }),
  ];
}

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [{ pods: ["a", "b"] }, { pods: ["c", "d"] }],
    ports: PROTOCOLS.map((protocol) => `${protocol}:8080`),
  });
  await Promise.all(cluster.nodes.map((node) => node.serve(node.node, node.name)));
  await cluster.start();
  await cluster.apply("all", [
    ...service(1, ["a", "c"]),
    ...service(2, ["node-1", "node-2"]),
    ...service(3, ["a", "b", "c"], { affinity: 6 }),
  ]);
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  unloadSCTP();
});

describe.each(FAMILY_CASES)("over %s", (family, { vip, ip }) => {
  const node = (number: number) => cluster.node(number).node;
  const outside = (number: number) => cluster.node(number).outside;

  describe.each([
    ["pods", 1, ["a", "c"]],
    ["processes of the nodes", 2, ["node-1", "node-2"]],
  ] as const)("a Service of %s", (_kind, n, endpoints) => {
    const each = (count: number) => allAnswered(Object.fromEntries(endpoints.map((name) => [name, count])));

    test.each(PROTOCOLS)("serves pods, endpoints and nodes at its ClusterIP by %s", async (protocol) => {
      for (const from of ["a", "b", "c", "d", node(1), node(2)])
        expect(await cluster.client(from).request(protocol, vip(n), 80, 4)).toEqual(each(2));
    });

    test.each(PROTOCOLS)("serves pods, endpoints, nodes and outside at its NodePort by %s", async (protocol) => {
      for (const from of ["a", "b", "c", "d", node(1), node(2), outside(1), outside(2)])
        for (const to of [node(1), node(2)])
          expect(await cluster.client(from).request(protocol, ip(to), 30_000 + n, 2)).toEqual(each(1));
    });

    test.each(["tcp", "udp"] as const)("answers requests of 2,000 bytes by %s with as many", async (protocol) => {
      const large = { bytes: 2_000 };
      for (const from of ["b", "d"])
        expect(await cluster.client(from).request(protocol, vip(n), 80, 4, large)).toEqual(each(2));
      expect(await cluster.client(outside(2)).request(protocol, ip(node(2)), 30_000 + n, 4, large)).toEqual(each(2));
    });
  });

  // A limit of Linux that docs/limits.md describes; a kernel without it changes the document.
  test("a process of a node that sends 2,000 bytes by UDP gets EMSGSIZE: once over IPv4, always over IPv6", async () => {
    const { answers, errors } = await cluster.client(node(1)).udp(vip(1), 80, 4, { bytes: 2_000 });
    const tooLong = family === "IPv4" ? 1 : 4;
    expect(errors).toEqual({ "Message too long": tooLong });
    expect(Object.values(answers).reduce((sum, count) => sum + count, 0)).toBe(4 - tooLong);
  });

  test("an endpoint that reaches itself sees its node as the client, another endpoint sees the pod", async () => {
    for (const protocol of PROTOCOLS) {
      const { answers, clients } = await cluster.client("a").request(protocol, vip(1), 80, 4);
      expect(answers).toEqual({ a: 2, c: 2 });
      expect(clients).toEqual({ [ip(cluster.node(1).gateway)]: 2, [ip(cluster.pod("a"))]: 2 });
    }
  });

  test.each(PROTOCOLS)("session affinity keeps clients at one endpoint by %s", async (protocol) => {
    const asked = [
      await cluster.client("d").request(protocol, vip(3), 80, 15),
      await cluster.client(node(2)).request(protocol, vip(3), 80, 15),
      await cluster.client(outside(1)).request(protocol, ip(node(1)), 30_003, 15),
    ];
    for (const { answers, errors } of asked)
      expect({ errors, counts: Object.values(answers) }).toEqual({ errors: {}, counts: [15] });
  });

  test("session affinity ends with a removed endpoint, even with an open connection", async () => {
    const ways = [
      ["d", vip(5), 80],
      [outside(1), ip(node(1)), 30_005],
    ] as const;
    const answering = (protocol: "tcp" | "udp") =>
      Promise.all(
        ways.map(async ([from, to, port]) => {
          const { answers, errors } = await cluster.client(from).request(protocol, to, port, 6);
          expect({ errors, counts: Object.values(answers) }).toEqual({ errors: {}, counts: [6] });
          return Object.keys(answers)[0] ?? "";
        }),
      );
    const pods = ["a", "b", "c"];
    await cluster.apply("leaving", service(5, pods, { affinity: 600 }));
    const first = { tcp: await answering("tcp"), udp: await answering("udp") };
    const { namespace } = cluster.pod("d");
    const held = await LongClient.hold(namespace, vip(5), 80);
    const left = pods.filter((pod) => pod !== first.tcp[0]);
    await cluster.apply("leaving", service(5, left, { affinity: 600 }));
    for (const protocol of ["tcp", "udp"] as const) {
      for (const [index, pod] of (await answering(protocol)).entries()) {
        expect(left).toContain(pod);
        // Clients of other endpoints stay.
        const before = first[protocol][index] ?? "";
        if (left.includes(before)) expect(pod).toBe(before);
      }
    }
    const { answers, errors } = await held.stop();
    expect({ answers, errors }).toEqual({ answers: { [first.tcp[0] ?? ""]: expect.any(Number) }, errors: {} });
  });

  test("session affinity is switched on and off in place, at ClusterIPs and NodePorts", async () => {
    const ask = async () => {
      const asked = [
        await cluster.client("d").tcp(vip(4), 80, 12),
        await cluster.client(outside(1)).tcp(ip(node(1)), 30_004, 12),
      ];
      return asked.map(({ answers, errors }) => ({ pods: Object.keys(answers).length, errors }));
    };
    const [spread, stuck] = [
      { pods: 3, errors: {} },
      { pods: 1, errors: {} },
    ];
    for (const [affinity, expected] of [
      [{}, spread],
      [{ affinity: 600 }, stuck],
      [{}, spread],
    ] as const) {
      await cluster.apply("switching", service(4, ["a", "b", "c"], affinity));
      expect(await ask()).toEqual([expected, expected]);
    }
  });
});

test("session affinity ends when a client has been idle for its timeout", async () => {
  // The IPVS entry of a datagram keeps the affinity of its client for five minutes, unless IPVS has a shorter timeout.
  await Promise.all(cluster.nodes.map((member) => member.prints("ipvsadm --set 0 0 1")));
  const { node, outside } = cluster.node(2);
  const ways = FAMILY_CASES.flatMap(([, { vip, ip }]) => [
    () => cluster.client("b").udp(vip(3), 80),
    () => cluster.client(outside).udp(ip(node), 30_003),
  ]);
  const ask = () => Promise.all(ways.map(async (way) => Object.keys((await way()).answers)[0]));
  // In the IPVS entry for the affinity of a client the client has port 0.
  const clients = [cluster.pod("b"), outside].flatMap(({ ip: v4, ip6 }) => [` ${v4}:0 `, ` [${ip6}]:0 `]);
  const remembered = async () => {
    const texts = await Promise.all(cluster.nodes.map((member) => member.prints("ipvsadm -Lnc")));
    const lines = texts.flatMap((text) => text.split("\n"));
    return lines.filter((line) => line.startsWith("UDP") && clients.some((client) => line.includes(client)));
  };
  const first = await ask();
  expect(await ask()).toEqual(first);
  expect(await remembered()).toHaveLength(ways.length);
  await eventually(async () => expect(await remembered()).toEqual([]), { withinMs: 20_000, everyMs: 200 });
  for (const [index, pod] of (await ask()).entries()) expect(pod).not.toBe(first[index]);
});

test("the URLs of kube-proxy are served: /healthz with the time of the last update, /proxyMode with the mode", async () => {
  const client = cluster.client(cluster.node(1).node);
  const { status, body } = await client.get("127.0.0.1", 10_256, "/healthz");
  expect({ status, body }).toEqual({ status: 200, body: expect.stringContaining("lastUpdated") });
  expect(await client.get("127.0.0.1", 10_249, "/proxyMode")).toEqual({ status: 200, body: "ipvs" });
});
