import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sumOf } from "../../support/node/agent-process.ts";
import type { Namespace } from "../../support/node/namespace.ts";
import { Cluster } from "../../support/node/nodes.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { allAnswered, refused } from "../../support/traffic/answers.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/** Overrides of Services, and what a node rejects. Pods a and b are on the first node, c and d on the second. */
let cluster: Cluster;

const PODS = ["a", "b", "c", "d"];
/** Services on all pods that only this test uses. */
const FIRST = Array.from({ length: 8 }, (_, index) => index + 1);

beforeAll(async () => {
  cluster = await Cluster.create({
    nodes: [{ pods: ["a", "b"] }, { pods: ["c", "d"] }],
    ports: ["tcp:8080", "udp:8080"],
  });
  await Promise.all(cluster.nodes.map((node) => node.serve(node.node, node.name)));
  await cluster.start();
  await cluster.apply(
    "first",
    FIRST.flatMap((n) => [serviceObject(`shop/s${n}`, { ip: vips(n) }), ...cluster.slices(`shop/s${n}`, PODS)]),
  );
});

afterAll(() => cluster?.[Symbol.asyncDispose]());

/** Sends `count` datagrams from one port and one socket; returns the pods that answered, from any address. */
async function fromOnePort(namespace: Namespace, address: string, count: number): Promise<readonly string[]> {
  const script = `
    use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
    my ($ip, $count) = @ARGV;
    my $to = $ip =~ /:/ ? pack_sockaddr_in6(80, inet_pton(AF_INET6, $ip)) : pack_sockaddr_in(80, inet_aton($ip));
    socket(my $socket, $ip =~ /:/ ? AF_INET6 : AF_INET, SOCK_DGRAM, 0) or die $!;
    for (1 .. $count) {
      send($socket, "x", 0, $to) or die $!;
      vec(my $ready = '', fileno($socket), 1) = 1;
      select($ready, undef, undef, 2) or die "no answer\\n";
      recv($socket, my $bytes, 100, 0);
      print $bytes;
    }`;
  const text = await namespace.output(["perl", "-e", script, address, String(count)]);
  return text
    .trim()
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "");
}

describe.each(FAMILY_CASES)("over %s", (family, { vip, ip }) => {
  const node = (number: number) => cluster.node(number);

  test("the nodes begin at different endpoints, and each uses all of them in turn", async () => {
    const first: string[][] = [];
    for (const { node: client } of cluster.nodes) {
      const answered: string[] = [];
      for (const n of FIRST) {
        const { answers } = await cluster.client(client).tcp(vip(n), 80, 1);
        answered.push(...Object.keys(answers));
        expect(await cluster.client(client).tcp(vip(n), 80, 4)).toEqual(allAnswered({ a: 1, b: 1, c: 1, d: 1 }));
      }
      expect(new Set(answered).size).toBeGreaterThan(1);
      first.push(answered);
    }
    expect(first[0]).not.toEqual(first[1]);
  });

  test("a Service has the scheduler and flags of its annotations, and another Service those of the node", async () => {
    await cluster.apply("s21", [
      serviceObject("shop/s21", {
        ip: vips(21),
        annotations: { "kube-ipvs.io/scheduler": "mh", "kube-ipvs.io/scheduler-flags": "" },
      }),
      serviceObject("shop/s22", { ip: vips(22), annotations: { "kube-router.io/service.scheduler": "lc" } }),
      ...cluster.slices("shop/s21", PODS),
    ]);
    const listed = await node(1).prints("ipvsadm -Sn");
    const at = (n: number) => (family === "IPv4" ? vip(n) : `[${vip(n)}]`);
    expect(listed).toContain(`-A -t ${at(21)}:80 -s mh\n`);
    expect(listed).toContain(`-A -t ${at(22)}:80 -s lc\n`);
    expect(listed).toContain(`-A -t ${at(1)}:80 -s rr\n`);
    // Without the port in its hash, mh sends all connections of a client to one endpoint, the same on every node.
    const { answers } = await cluster.client("a").tcp(vip(21), 80, 6);
    expect(Object.values(answers)).toEqual([6]);
  });

  test("one-packet mode sends datagrams of one port to every endpoint", async () => {
    const said = { ip: vips(23), ports: [{ port: 80, protocol: "UDP" }] };
    const slices = cluster.slices("shop/s23", ["a", "c", "d"], { ports: [{ port: 8080, protocol: "UDP" }] });
    const annotations = { "kube-ipvs.io/one-packet": "true" };
    await cluster.apply("s23", [serviceObject("shop/s23", said), ...slices]);
    const client = cluster.pod("b").namespace;
    expect(new Set(await fromOnePort(client, vip(23), 4)).size).toBe(1);
    await cluster.apply("s23", [serviceObject("shop/s23", { ...said, annotations }), ...slices]);
    expect((await fromOnePort(client, vip(23), 3)).toSorted()).toEqual(["a", "c", "d"]);
  });

  test("weights of the slice distribute connections, and change in place", async () => {
    const pods = ["a", "c"].map((pod) => cluster.pod(pod));
    const weigh = (weights: readonly number[]) =>
      cluster.apply("s24", [
        serviceObject("shop/s24", { ip: vips(24), annotations: { "kube-ipvs.io/scheduler": "wrr" } }),
        sliceObject("shop/s24-1", {
          endpoints: pods.map(ip),
          annotations: { "kube-ipvs.io/weights": pods.map((pod, index) => `${ip(pod)}=${weights[index]}`).join(", ") },
        }),
      ]);
    const ask = (count: number) => cluster.client("b").tcp(vip(24), 80, count);
    await weigh([3, 1]);
    expect(await ask(8)).toEqual(allAnswered({ a: 6, c: 2 }));
    await weigh([0, 1]);
    expect(await ask(4)).toEqual(allAnswered({ c: 4 }));
    await weigh([0, 0]);
    expect(await ask(2)).toEqual(refused(2));
    await weigh([1, 1]);
    expect(await ask(4)).toEqual(allAnswered({ a: 2, c: 2 }));
  });

  test("a Service with a scheduler that the kernel lacks is served", async () => {
    await cluster.apply("s25", [
      serviceObject("shop/s25", { ip: vips(25), annotations: { "kube-ipvs.io/scheduler": "lblc" } }),
      ...cluster.slices("shop/s25", ["a"]),
    ]);
    expect(await cluster.client("b").tcp(vip(25), 80, 2)).toEqual(allAnswered({ a: 2 }));
    await cluster.apply("s25", []);
  });

  test("an external IP that is an address of the node does not take the node's ports (G-46)", async () => {
    const own = [ip(node(1).node)];
    const ports = [{ name: "ssh", port: 8080 }];
    await cluster.apply("s26", [
      serviceObject("shop/s26", { ip: vips(26), ports, externalIPs: [...own, "203.0.113.26", "2001:db8::26"] }),
      ...cluster.slices("shop/s26", ["c"], { ports }),
    ]);
    const outside = cluster.client(node(1).outside);
    expect(await outside.tcp(ip(node(1).node), 8080, 2)).toEqual(allAnswered({ "node-1": 2 }));
    // The rest of the Service works.
    expect(await cluster.client("a").tcp(vip(26), 8080, 2)).toEqual(allAnswered({ c: 2 }));
    const other = family === "IPv4" ? "203.0.113.26" : "2001:db8::26";
    expect(await cluster.client("a").tcp(other, 8080, 2)).toEqual(allAnswered({ c: 2 }));
    for (const one of cluster.nodes) {
      expect(sumOf(await cluster.agent(one).metrics(), /^kube_ipvs_problems/)).toBe(1);
    }
    await cluster.apply("s26", []);
  });
});
