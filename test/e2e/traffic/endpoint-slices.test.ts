import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, type PodEndpoint } from "../../support/node/nodes.ts";
import { serviceObject } from "../../support/objects/builders.ts";
import { allAnswered, refused } from "../../support/traffic/answers.ts";
import { LongClient } from "../../support/traffic/client.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/** The effect of EndpointSlices on traffic: pods a and b on the first node, c and d on the second; d is a client. */
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [{ pods: ["a", "b"] }, { pods: ["c", "d"] }],
    ports: ["tcp:8080", "tcp:8081"],
  });
  await cluster.start();
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

const TWO_PORTS = [
  { name: "one", port: 80 },
  { name: "two", port: 81 },
];
const ONE = { name: "one", port: 8080 };
const TWO = { name: "two", port: 8081 };

describe.each(FAMILY_CASES)("over %s", (_, { vip, ip }) => {
  const node = (number: number) => cluster.node(number).node;

  /** Sets Service number n, with NodePort 30000 + n, to these endpoints. */
  const put = (n: number, endpoints: readonly PodEndpoint[]) =>
    cluster.apply(`s${n}`, [
      serviceObject(`shop/s${n}`, { ip: vips(n), ports: [{ port: 80, nodePort: 30_000 + n }] }),
      ...cluster.slices(`shop/s${n}`, endpoints),
    ]);
  /** Sends requests to the ClusterIP and to the NodePorts of both nodes, from a pod of each. */
  const everywhere = async (n: number) => {
    const answers = [];
    for (const from of ["b", "d"])
      for (const [address, port] of [[vip(n), 80] as const, ...[1, 2].map((at) => [ip(node(at)), 30_000 + n] as const)])
        answers.push(await cluster.client(from).tcp(address, port, 2));
    return answers;
  };
  const six = (one: unknown) => Array.from({ length: 6 }, () => one);

  test("the slices of one Service are merged, and each port has the addresses of its slices", async () => {
    await cluster.apply("s1", [
      serviceObject("shop/s1", { ip: vips(1), ports: TWO_PORTS }),
      ...cluster.slices("shop/s1x", ["a", "b"], { service: "s1", ports: [ONE] }),
      ...cluster.slices("shop/s1y", ["c"], { service: "s1", ports: [ONE, TWO] }),
    ]);
    expect(await cluster.client("d").tcp(vip(1), 80, 6)).toEqual(allAnswered({ a: 2, b: 2, c: 2 }));
    expect(await cluster.client("d").tcp(vip(1), 81, 2)).toEqual(allAnswered({ c: 2 }));
    await cluster.apply("s1", [
      serviceObject("shop/s1", { ip: vips(1), ports: TWO_PORTS }),
      ...cluster.slices("shop/s1y", ["c"], { service: "s1", ports: [ONE, TWO] }),
    ]);
    expect(await cluster.client("d").tcp(vip(1), 80, 2)).toEqual(allAnswered({ c: 2 }));
  });

  test("slices may share an address, each with its own port", async () => {
    await cluster.apply("s2", [
      serviceObject("shop/s2", { ip: vips(2), ports: TWO_PORTS }),
      ...cluster.slices("shop/s2x", ["a"], { service: "s2", ports: [ONE] }),
      ...cluster.slices("shop/s2y", ["a"], { service: "s2", ports: [TWO] }),
    ]);
    for (const port of [80, 81]) expect(await cluster.client("d").tcp(vip(2), port, 2)).toEqual(allAnswered({ a: 2 }));
  });

  test("a named port leads to each pod's own number", async () => {
    await cluster.apply("s3", [
      serviceObject("shop/s3", { ip: vips(3), ports: [{ name: "one", port: 80 }] }),
      ...cluster.slices("shop/s3x", ["a"], { service: "s3", ports: [{ name: "one", port: 8080 }] }),
      ...cluster.slices("shop/s3y", ["b"], { service: "s3", ports: [{ name: "one", port: 8081 }] }),
    ]);
    const bodies = [];
    for (let count = 0; count < 4; count++) bodies.push((await cluster.client("d").get(vip(3), 80, "/")).body);
    const seen = new Set(bodies.map((body) => JSON.parse(body)).map(({ pod, port }) => `${pod}:${port}`));
    expect([...seen].sort()).toEqual(["a:8080", "b:8081"]);
  });

  test("a pod that is not ready answers only while its slices mark it as ready", async () => {
    const unready = { pod: "a", ready: false, serving: false };
    const published = { pod: "a", ready: true, serving: false };
    for (const [endpoint, expected] of [
      [published, allAnswered({ a: 2 })],
      [unready, refused(2)],
      [published, allAnswered({ a: 2 })],
      [{ ...published, terminating: true }, allAnswered({ a: 2 })],
      [{ ...unready, terminating: true }, refused(2)],
    ] as const) {
      await put(4, [endpoint]);
      expect(await everywhere(4)).toEqual(six(expected));
    }
  });

  test("a terminating pod that still serves answers only while no pod is ready", async () => {
    const leaving = { pod: "a", ready: false, serving: true, terminating: true };
    await put(5, [leaving, { pod: "b", ready: false, serving: false }]);
    expect(await everywhere(5)).toEqual(six(allAnswered({ a: 2 })));
    await put(5, [leaving, "c"]);
    expect(await everywhere(5)).toEqual(six(allAnswered({ c: 2 })));
  });

  test("a switch from blue to green by readiness alone fails no request", async () => {
    const state = (pod: string, ready: boolean) => ({ pod, ready, serving: ready });
    const colours = (isGreen: boolean) => [
      ...["a", "b"].map((pod) => state(pod, !isGreen)),
      ...["c"].map((pod) => state(pod, isGreen)),
    ];
    await put(6, colours(false));
    const clients = await Promise.all([
      LongClient.loop(cluster.pod("d").namespace, vip(6), 80, { rate: 50 }),
      LongClient.loop(cluster.node(1).outside.namespace, ip(node(1)), 30_006, { rate: 50 }),
    ]);
    for (const isGreen of [true, false, true]) {
      await put(6, colours(isGreen));
      // The clients above share the rotation with this one, so any of the pods may answer it.
      const { answers, errors } = await cluster.client("d").tcp(vip(6), 80, 4);
      expect(errors).toEqual({});
      expect(isGreen ? ["c"] : ["a", "b"]).toEqual(expect.arrayContaining(Object.keys(answers)));
    }
    for (const client of clients) {
      const { errors, failures, resent, answers } = await client.stop();
      expect({ errors, failures, resent }).toEqual({ errors: {}, failures: [], resent: 0 });
      expect(Object.keys(answers).sort()).toEqual(["a", "b", "c"]);
    }
  });
});
