import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { IN_VAIN } from "../../support/traffic/answers.ts";
import {
  answered,
  answers,
  CHECK_PORT,
  DROPPED,
  exposedServices,
  FAMILIES,
  type Family,
  type Frontend,
  frontendOf,
  type Kind,
  REFUSED,
  SHARED,
} from "../../support/traffic/exposed-services.ts";

/**
 * Frontends for clients outside the cluster, by every kind of client: outside, a pod of this node (c, which serves
 * nothing), the node itself. The pods a and b run here; by its slices b runs on another node.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "b", "c"] });
  await manifests.put("all.json", exposedServices(node));
  agent = AgentProcess.start(node, manifests);
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const frontend = (kind: Kind, number: number, family: Family) => frontendOf(node.node, kind, number, family);
const ask = (host: Host, to: Frontend, count?: number) => answers(node.client(host), to, count);

function tcpOf({ at, http }: Frontend): [string, number] {
  return [at, http];
}

describe.each(FAMILIES)("over $name", (family) => {
  describe.each<Kind>(["external IP", "load balancer", "node port"])("at the %s", (kind) => {
    test("policy Cluster: all clients reach all endpoints, masqueraded", async () => {
      const to = frontend(kind, 1, family);
      expect(await ask(node.outside, to)).toEqual(answered(["a", "b"], family.gateway));
      expect(await ask(node.pod("c"), to)).toEqual(answered(["a", "b"], family.gateway));
      expect(await ask(node.node, to)).toEqual(answered(["a", "b"], family.gateway));
    });

    test("policy Local: clients outside reach local endpoints and keep their address (G-11)", async () => {
      const to = frontend(kind, 2, family);
      expect(await ask(node.outside, to)).toEqual(answered(["a"], family.of(node.outside)));
    });

    test("policy Local: a pod of this node reaches all endpoints and keeps its address (G-12)", async () => {
      expect(await ask(node.pod("c"), frontend(kind, 2, family))).toEqual(
        answered(["a", "b"], family.of(node.pod("c"))),
      );
    });

    test("policy Local: a pod reaches itself, as a client that it can answer", async () => {
      const { answers, clients, errors } = await node.client(node.pod("a")).tcp(...tcpOf(frontend(kind, 2, family)), 4);
      expect({ answers, errors }).toEqual({ answers: { a: 2, b: 2 }, errors: {} });
      expect(clients).toEqual({ [family.of(node.pod("a"))]: 2, [family.gateway]: 2 });
    });

    test("policy Local: the node itself reaches all endpoints, masqueraded (G-57)", async () => {
      expect(await ask(node.node, frontend(kind, 2, family))).toEqual(answered(["a", "b"], family.gateway));
    });

    test("policy Local, none local: clients outside are dropped, those of this node are not", async () => {
      const to = frontend(kind, 3, family);
      expect(await ask(node.outside, to, 1)).toEqual(DROPPED);
      expect(await ask(node.pod("c"), to)).toEqual(answered(["b"], family.of(node.pod("c"))));
      expect(await ask(node.node, to)).toEqual(answered(["b"], family.gateway));
    });

    test("policy Local, no endpoint anywhere: all clients are rejected (G-13)", async () => {
      const to = frontend(kind, 4, family);
      for (const host of [node.outside, node.pod("c")]) expect(await ask(host, to, 2)).toEqual(REFUSED);
      expect((await node.client(node.node).tcp(to.at, to.http, 2)).errors).toEqual({ refused: 2 });
    });
  });

  test("internal policy Local, none local: the cluster IP drops, the external addresses serve (G-10)", async () => {
    const to = { at: family.clusterIP(5), http: 80, dns: 53 };
    expect(await ask(node.pod("c"), to, 1)).toEqual(DROPPED);
    const tcp = await node.client(node.node).tcp(to.at, to.http, 1, IN_VAIN);
    expect(tcp.errors).toEqual({ timeout: 1 });
    expect(await ask(node.outside, frontend("load balancer", 5, family))).toEqual(answered(["b"], family.gateway));
  });

  test("internal policy Local, no endpoint anywhere: the cluster IP rejects", async () => {
    expect(await ask(node.pod("c"), { at: family.clusterIP(4), http: 80, dns: 53 }, 2)).toEqual(REFUSED);
  });

  test("source ranges admit only the clients that they contain", async () => {
    const to = frontend("load balancer", 6, family);
    expect(await ask(node.pod("c"), to)).toEqual(answered(["a", "b"], family.gateway));
    expect(await ask(node.outside, to, 1)).toEqual(DROPPED);
    expect(await ask(node.pod("a"), to, 1)).toEqual(DROPPED);
    expect((await node.client(node.node).tcp(to.at, to.http, 1, IN_VAIN)).errors).toEqual({ timeout: 1 });
    expect(await ask(node.outside, frontend("node port", 6, family))).toEqual(answered(["a", "b"], family.gateway));
  });

  test("a port with the number of a NodePort is no NodePort at another address (G-28)", async () => {
    const at = family.loadBalancer(8);
    const { clients } = await node.client(node.outside).tcp(at, 30_180, 2);
    expect(Object.keys(clients)).toEqual([family.of(node.outside)]);
  });

  test("with session affinity a client of this node keeps its endpoint at every address", async () => {
    const asked = (kind: Kind) => {
      const { at, http } = frontend(kind, 9, family);
      return node.client(node.pod("c")).tcp(at, http, 6);
    };
    const answers = [await asked("external IP"), await asked("load balancer"), await asked("node port")];
    const pods = answers.flatMap((one) => Object.keys(one.answers));
    expect(answers.map((one) => one.errors)).toEqual([{}, {}, {}]);
    expect(new Set(pods).size).toBe(1);
  });

  test("ports of the address that no Service has are closed, and it answers pings (G-59)", async () => {
    const at = family.loadBalancer(1);
    expect((await node.client(node.outside).tcp(at, 10_256)).errors).toEqual({ refused: 1 });
    expect((await node.client(node.outside).ping(at)).errors).toEqual({});
    expect((await node.client(node.pod("c")).ping(family.clusterIP(1))).errors).toEqual({});
  });

  test("a pod with host port 80 takes no traffic of a Service", async () => {
    // As the portmap plugin of CNI sets it.
    const tool = family.name === "IPv4" ? "iptables" : "ip6tables";
    const pod = family.of(node.pod("c"));
    const to = family.name === "IPv4" ? `${pod}:8080` : `[${pod}]:8080`;
    const rule = `-p tcp -m addrtype --dst-type LOCAL --dport 80 -j DNAT --to-destination ${to}`;
    const both = (verb: string) =>
      ["PREROUTING", "OUTPUT"].map((chain) => `${tool} -t nat ${verb} ${chain} ${rule}`).join("; ");
    await node.prints(both("-A"));
    try {
      for (const at of [family.clusterIP(1), family.externalIP(1), family.externalIP(2), family.loadBalancer(1)]) {
        const { answers } = await node.client(node.node).tcp(at, 80, 2);
        expect({ at, answers }).toEqual({ at, answers: { a: 1, b: 1 } });
      }
      const { answers, clients } = await node.client(node.outside).tcp(family.of(node.node), 80, 2);
      expect({ answers, clients }).toEqual({ answers: { c: 2 }, clients: { [family.of(node.outside)]: 2 } });
      expect((await node.client(node.outside).tcp(family.loadBalancer(1), 80, 2)).answers).toEqual({ a: 1, b: 1 });
    } finally {
      await node.prints(both("-D"));
    }
  });

  test("packets to a ClusterIP that no Service has are dropped, and do not leave by the default route (G-37)", async () => {
    const at = family.clusterIP(99);
    await node.prints(`ip route add default via ${family.of(node.outside)}`);
    // The host outside would send them back until the client gets a time-exceeded error.
    for (const host of [node.pod("c"), node.node])
      expect((await node.client(host).tcp(at, 80, 1, IN_VAIN)).errors).toEqual({ timeout: 1 });
  });
});

test("a node in the source ranges by any of its addresses may use the load balancer itself (G-61)", async () => {
  const [ipv4, ipv6] = FAMILIES.map((family) => frontend("load balancer", 7, family));
  if (ipv4 === undefined || ipv6 === undefined) throw new Error("There are two families");
  expect(await ask(node.node, ipv4)).toEqual(answered(["a", "b"], "10.244.1.1"));
  expect(await ask(node.outside, ipv4, 1)).toEqual(DROPPED);
  // Ranges of IPv4 alone admit no client over IPv6.
  expect((await node.client(node.node).tcp(ipv6.at, 80, 1, IN_VAIN)).errors).toEqual({ timeout: 1 });
  expect(await ask(node.outside, ipv6, 1)).toEqual(DROPPED);
});

describe("with pods recognised by interface names, and NodePorts at the node's own IPs", () => {
  beforeAll(async () => {
    await agent[Symbol.asyncDispose]();
    await node.prints(`ip addr add ${SHARED[0]}/24 dev eth0; ip addr add ${SHARED[1]}/64 dev eth0 nodad`);
    const mode = ["--detect-local-mode=InterfaceNamePrefix", "--pod-interface-name-prefix=pod"];
    const addresses = ["--nodeport-addresses=primary", `--shared-vip-cidrs=${SHARED[0]}/32,${SHARED[1]}/128`];
    agent = AgentProcess.start(node, manifests, ...mode, ...addresses);
    await agent.ready();
  });

  test.each(FAMILIES)(
    "an address of the node that Services may share serves them in place, and its other ports belong to the node, over $name",
    async (family) => {
      const at = family.of({ ...node.node, ip: SHARED[0], ip6: SHARED[1] });
      expect(await ask(node.outside, { at, http: 80, dns: 53 })).toEqual(answered(["a", "b"], family.gateway));
      expect((await node.client(node.outside).get(at, 10_256, "/livez")).status).not.toBe(0);
      expect(await node.prints("ip -o address show dev kube-ipvs0")).not.toContain(` ${at}/`);
    },
  );

  test.each(FAMILIES)("NodePorts are served only at the node's own IPs, over $name", async (family) => {
    const { at, http, dns } = frontend("node port", 1, family);
    expect(await ask(node.pod("c"), { at, http, dns })).toEqual(answered(["a", "b"], family.gateway));
    expect(await ask(node.pod("c"), { at: family.gateway, http, dns }, 2)).toEqual(REFUSED);
  });

  test.each(FAMILIES)("only pods keep their address, over $name", async (family) => {
    const clusterIP = { at: family.clusterIP(1), http: 80, dns: 53 };
    expect(await ask(node.pod("c"), clusterIP)).toEqual(answered(["a", "b"], family.of(node.pod("c"))));
    expect(await ask(node.outside, clusterIP)).toEqual(answered(["a", "b"], family.gateway));
    expect(await ask(node.pod("c"), frontend("load balancer", 3, family))).toEqual(
      answered(["b"], family.of(node.pod("c"))),
    );
    expect(await ask(node.outside, frontend("load balancer", 3, family), 1)).toEqual(DROPPED);
  });
});

describe("a host whose chains INPUT and FORWARD drop by policy", () => {
  const REPLIES = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
  const both = (rule: string) => `iptables ${rule}; ip6tables ${rule}`;

  beforeAll(async () => {
    await node.prints(both(`-A INPUT ${REPLIES}`), ";", both("-A INPUT -i lo -j ACCEPT"));
    // Neighbours are found by ICMPv6, which no host may drop.
    await node.prints(
      "ip6tables -A INPUT -p icmpv6 --icmpv6-type 135 -j ACCEPT; ip6tables -A INPUT -p icmpv6 --icmpv6-type 136 -j ACCEPT",
    );
    await node.prints(both("-P INPUT DROP"), ";", both("-P FORWARD DROP"));
  });

  afterAll(async () => {
    await node.prints(
      both("-P INPUT ACCEPT"),
      ";",
      both("-P FORWARD ACCEPT"),
      ";",
      both(`-D INPUT ${REPLIES}`),
      ";",
      both("-D INPUT -i lo -j ACCEPT"),
    );
  });

  test.each(FAMILIES)("serves all frontends of Services, and nothing else, over $name (G-31)", async (family) => {
    expect(await ask(node.outside, frontend("node port", 1, family))).toEqual(answered(["a", "b"], family.gateway));
    expect(await ask(node.outside, frontend("load balancer", 2, family))).toEqual(
      answered(["a"], family.of(node.outside)),
    );
    expect(await ask(node.pod("c"), frontend("external IP", 2, family))).toEqual(
      answered(["a", "b"], family.of(node.pod("c"))),
    );
    expect(await ask(node.pod("c"), { at: family.clusterIP(1), http: 80, dns: 53 })).toEqual(
      answered(["a", "b"], family.of(node.pod("c"))),
    );
    const outside = node.client(node.outside);
    expect((await outside.get(family.of(node.node), CHECK_PORT, "/")).status).toBe(200);
    expect((await outside.ping(family.loadBalancer(1))).errors).toEqual({});
    expect((await outside.tcp(family.of(node.node), 10_256, 1, IN_VAIN)).errors).toEqual({ timeout: 1 });
  });

  test("still drops the clients that its own rules drop", async () => {
    const rule = `INPUT -s ${node.outside.ip} -j DROP`;
    await node.prints(`iptables -I ${rule}`);
    const { errors } = await node.client(node.outside).tcp(node.node.ip, 30_180, 1, IN_VAIN);
    await node.prints(`iptables -D ${rule}`);
    expect(errors).toEqual({ timeout: 1 });
  });
});
