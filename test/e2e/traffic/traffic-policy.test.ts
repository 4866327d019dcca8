import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../support/node/netns.ts";
import { Cluster, type PodEndpoint } from "../../support/node/nodes.ts";
import { type ServiceSpec, serviceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { allAnswered, dropped, IN_VAIN, refused } from "../../support/traffic/answers.ts";
import { type Answers, type AskOptions, LongClient } from "../../support/traffic/client.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";
import { type SpokenProtocol, spokenProtocols, unloadSCTP } from "../../support/traffic/sctp.ts";

/**
 * internalTrafficPolicy and externalTrafficPolicy, as the clients of three nodes see them: pods a and b are on the first,
 * c on the second, d on the third, and each node has a server of its own network.
 */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [{ pods: ["a", "b"] }, { pods: ["c"] }, { pods: ["d"] }],
    ports: PROTOCOLS.map((protocol) => `${protocol}:8080`),
  });
  await Promise.all(cluster.nodes.map((node) => node.serve(node.node, node.name)));
  await cluster.start();
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  unloadSCTP();
});

const LEAVING = { ready: false, serving: true, terminating: true };
const PROTOCOLS = spokenProtocols();

describe.each(FAMILY_CASES)("over %s", (_, { vip, ip }) => {
  const node = (number: number) => cluster.node(number).node;
  const outside = (number: number) => cluster.node(number).outside;

  /** Creates Service number n, with NodePort 30000 + n, on TCP and UDP. */
  const put = (n: number, said: ServiceSpec, endpoints: readonly PodEndpoint[]) =>
    cluster.apply(`s${n}`, [
      serviceObject(`shop/s${n}`, {
        ip: vips(n),
        ports: [
          { name: "tcp", port: 80, nodePort: 30_000 + n },
          { name: "udp", port: 80, protocol: "UDP", nodePort: 30_000 + n },
          { name: "sctp", port: 80, protocol: "SCTP", nodePort: 30_000 + n },
        ],
        ...said,
      }),
      ...cluster.slices(`shop/s${n}`, endpoints, {
        ports: [
          { name: "tcp", port: 8080 },
          { name: "udp", port: 8080, protocol: "UDP" },
          { name: "sctp", port: 8080, protocol: "SCTP" },
        ],
      }),
    ]);

  type Way = readonly [from: string | Host, to: string, port: number];
  const clusterIP = (from: string | Host, n: number): Way => [from, vip(n), 80];
  const nodePort = (from: string | Host, to: number, n: number): Way => [from, ip(node(to)), 30_000 + n];

  /** Sends so many requests by each path and protocol. */
  const ask = (
    ways: readonly Way[],
    protocols: readonly SpokenProtocol[] = PROTOCOLS,
    count = 2,
    how: AskOptions = {},
  ) =>
    Promise.all(
      ways.flatMap(([from, to, port]) =>
        protocols.map((protocol) => cluster.client(from).request(protocol, to, port, count, how)),
      ),
    );
  const all = (expected: unknown, answers: readonly Answers[]) => expect(answers).toEqual(answers.map(() => expected));

  const silent = async (ways: readonly Way[], protocols = PROTOCOLS) =>
    all(dropped(1), await ask(ways, protocols, 1, IN_VAIN));
  const hold = (ways: readonly Way[]) =>
    Promise.all(
      ways.map(([from, to, port]) => {
        const { namespace } = typeof from === "string" ? cluster.pod(from) : from;
        return LongClient.hold(namespace, to, port);
      }),
    );
  /** Ends connections and checks that they stayed open at this pod. */
  const lived = async (clients: readonly LongClient[], pod: string) => {
    for (const client of clients) {
      const { answers, errors, count } = await client.stop();
      expect({ answers, errors }).toEqual({ answers: { [pod]: count }, errors: {} });
    }
  };

  describe("the internal policy Local", () => {
    test("serves the pods and the node of an endpoint, with their addresses, and drops the clients of other nodes", async () => {
      await put(1, { internal: "Local", type: "ClusterIP" }, ["a"]);
      all(allAnswered({ a: 2 }, ip(cluster.pod("b"))), await ask([clusterIP("b", 1)]));
      all(allAnswered({ a: 2 }, ip(cluster.node(1).gateway)), await ask([clusterIP(node(1), 1)]));
      await silent([clusterIP("c", 1), clusterIP("d", 1)]);
      await silent([clusterIP(node(2), 1), clusterIP(node(3), 1)], ["tcp"]);
    });

    test("applies to endpoints in the node's network", async () => {
      await put(2, { internal: "Local" }, ["node-1"]);
      all(allAnswered({ "node-1": 2 }), await ask([clusterIP("b", 2), clusterIP(node(1), 2)]));
      await silent([clusterIP("c", 2)]);
      await silent([clusterIP(node(2), 2)], ["tcp"]);
    });

    test("applies only to the ClusterIP of a Service with NodePorts (G-10)", async () => {
      await put(3, { internal: "Local" }, ["a"]);
      await silent([clusterIP("c", 3)]);
      all(allAnswered({ a: 2 }), await ask([nodePort("c", 2, 3), nodePort(outside(3), 3, 3)]));
    });

    test("rejects if there is no endpoint anywhere", async () => {
      await put(4, { internal: "Local" }, []);
      all(refused(2), await ask([clusterIP("b", 4), clusterIP("c", 4), clusterIP(node(1), 4)], ["tcp"]));
    });

    test("falls back to an endpoint of the node that terminates and serves", async () => {
      await put(5, { internal: "Local" }, [{ pod: "a", ...LEAVING }, "c"]);
      all(allAnswered({ a: 2 }), await ask([clusterIP("b", 5)]));
      all(allAnswered({ c: 2 }), await ask([clusterIP("c", 5)]));
      await silent([clusterIP("d", 5)]);
    });

    test("keeps connections to the last endpoint of the node, and drops new ones", async () => {
      await put(6, { internal: "Local" }, ["a"]);
      const held = await hold([clusterIP("b", 6), clusterIP(node(1), 6)]);
      await put(6, { internal: "Local" }, ["c"]);
      await silent([clusterIP("b", 6)]);
      await silent([clusterIP(node(1), 6)], ["tcp"]);
      await lived(held, "a");
    });
  });

  describe("the external policy Local", () => {
    test("keeps the client's address at the node of an endpoint, and drops clients from outside elsewhere (G-11)", async () => {
      await put(11, { external: "Local" }, ["a", "c"]);
      all(allAnswered({ a: 2 }, ip(outside(1))), await ask([nodePort(outside(1), 1, 11)]));
      all(allAnswered({ c: 2 }, ip(outside(2))), await ask([nodePort(outside(2), 2, 11)]));
      await silent([nodePort(outside(3), 3, 11), nodePort(node(1), 3, 11)]);
      // As seen from another node, a node is a client from outside.
      all(allAnswered({ a: 2 }, ip(node(3))), await ask([nodePort(node(3), 1, 11)]));
    });

    test("lets the pods of a node reach all endpoints, with their addresses (G-12)", async () => {
      await put(12, { external: "Local" }, ["a", "c"]);
      for (const [pod, at] of [
        ["b", 1],
        ["c", 2],
        ["d", 3],
      ] as const)
        for (const { answers, errors } of await ask([nodePort(pod, at, 12)]))
          expect({ answers, errors }).toEqual({ answers: { a: 1, c: 1 }, errors: {} });
      const { clients } = await cluster.client("d").tcp(ip(node(3)), 30_012, 2);
      expect(clients).toEqual({ [ip(cluster.pod("d"))]: 2 });
    });

    // The network of all pods does not show the node of a pod; docs/traffic.md names the modes that do.
    test("treats a pod of another node as its own, and endpoints on other nodes answer the pod directly", async () => {
      await put(18, { external: "Local" }, ["a", "c"]);
      // Half of the requests fail; on a slow host others may then be late.
      await eventually(async () => {
        for (const { answers, clients, errors } of await ask([nodePort("d", 1, 18)], ["tcp", "udp"], 6, IN_VAIN))
          expect([answers, clients, errors].map((counts) => Object.keys(counts))).toEqual([
            ["a"],
            [ip(cluster.pod("d"))],
            ["timeout"],
          ]);
      });
    });

    test("lets a node itself reach all endpoints, masqueraded (G-57)", async () => {
      await put(13, { external: "Local" }, ["a", "c"]);
      for (const number of [1, 3]) {
        for (const answers of await ask([nodePort(node(number), number, 13)])) {
          expect(answers).toEqual(allAnswered({ a: 1, c: 1 }));
          const seen = ["a", "c"].map((pod) => ip(cluster.addressTowards(pod, cluster.node(number))));
          expect(Object.keys(answers.clients).sort()).toEqual([...new Set(seen)].sort());
        }
      }
    });

    test("does not affect the ClusterIP", async () => {
      await put(14, { external: "Local" }, ["a", "c"]);
      all(allAnswered({ a: 1, c: 1 }), await ask(["b", "d", node(2)].map((from) => clusterIP(from, 14))));
    });

    test("rejects if there is no endpoint anywhere", async () => {
      await put(15, { external: "Local" }, []);
      all(
        refused(2),
        await ask([nodePort(outside(1), 1, 15), nodePort("b", 1, 15), nodePort(node(1), 1, 15)], ["tcp"]),
      );
    });

    test("falls back to an endpoint of the node that terminates and serves, for clients of all kinds", async () => {
      await put(16, { external: "Local" }, [{ pod: "a", ...LEAVING }]);
      all(
        allAnswered({ a: 2 }),
        await ask(["b", "c", node(1), node(2), outside(1)].map((from) => nodePort(from, 1, 16))),
      );
      await silent([nodePort(outside(2), 2, 16), nodePort(node(3), 2, 16)]);
    });

    test("is followed on all nodes when it changes to Cluster and back", async () => {
      const checkPort = 32_017;
      const checks = () =>
        Promise.all(
          [1, 2, 3].map(
            async (number) => (await cluster.client(outside(number)).get(ip(node(number)), checkPort, "/")).status,
          ),
        );
      for (const external of ["Local", "Cluster", "Local"]) {
        const check = external === "Local" ? { healthCheckNodePort: checkPort } : {};
        await put(17, { external, type: "LoadBalancer", ...check }, ["a"]);
        expect(await checks()).toEqual(external === "Local" ? [200, 503, 503] : [0, 0, 0]);
        const at = external === "Local" ? ip(outside(1)) : ip(cluster.node(1).gateway);
        all(allAnswered({ a: 2 }, at), await ask([nodePort(outside(1), 1, 17)]));
        if (external === "Local") await silent([nodePort(outside(2), 2, 17)]);
        else all(allAnswered({ a: 2 }, ip(node(2))), await ask([nodePort(outside(2), 2, 17)]));
        all(allAnswered({ a: 2 }), await ask([nodePort("c", 2, 17)]));
      }
    });

    test("keeps connections to the last endpoint of the node, from outside, a pod and the node", async () => {
      await put(18, { external: "Local" }, ["a"]);
      const froms = [outside(1), "b", node(1)];
      const held = await hold(froms.map((from) => nodePort(from, 1, 18)));
      await put(18, { external: "Local" }, ["c"]);
      await silent([nodePort(outside(1), 1, 18)]);
      all(allAnswered({ c: 2 }), await ask([nodePort("b", 1, 18), nodePort(node(1), 1, 18)]));
      await lived(held, "a");
    });
  });

  test("the policies Cluster fall back to a terminating endpoint of any node", async () => {
    await put(21, {}, [{ pod: "a", ...LEAVING }]);
    all(
      allAnswered({ a: 2 }),
      await ask([
        clusterIP("b", 21),
        clusterIP("c", 21),
        nodePort("b", 1, 21),
        nodePort("c", 1, 21),
        nodePort(outside(3), 3, 21),
      ]),
    );
  });
});
