import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { allAnswered } from "../../support/traffic/answers.ts";
import { type Answers, type End, LongClient } from "../../support/traffic/client.ts";
import { FAMILY_CASES, type FamilyCase, vips } from "../../support/traffic/families.ts";

/** The connections that conntrack and IPVS keep and for how long, and the handling of packets that match none. */
let node: TestNode;
let manifests: ManifestFolder;

const HTTP = { name: "http", port: 80, nodePort: 30_080 };
const DNS = { name: "dns", port: 53, protocol: "UDP" };

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "c"] });
  const slice = (name: string, ip: string) =>
    sliceObject(name, {
      ports: [
        { name: "http", port: 8080 },
        { name: "dns", port: 5353, protocol: "UDP" },
      ],
      endpoints: [{ ip, node: node.name, ready: true }],
    });
  const { ip, ip6 } = node.pod("a");
  await manifests.put("web.json", [
    serviceObject("shop/web", { type: "NodePort", ip: vips(1), ports: [HTTP, DNS] }),
    slice("shop/web-4", ip),
    slice("shop/web-6", ip6),
  ]);
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

/** Runs an agent with these flags for the tests of this block. */
function agentWith(...flags: readonly string[]): () => AgentProcess {
  let agent: AgentProcess;
  beforeAll(async () => {
    agent = AgentProcess.start(node, manifests, ...flags);
    await agent.ready();
  });
  afterAll(() => agent?.[Symbol.asyncDispose]());
  return () => agent;
}

/** A sequence number far outside of any window. */
const BEYOND = 2 ** 28;

interface Outcome {
  readonly answers: Answers["answers"];
  readonly errors: Answers["errors"];
}
const GOES_ON: Outcome = { answers: { a: 1 }, errors: {} };
const ENDS: Outcome = { answers: {}, errors: { reset: 1 } };

/**
 * What becomes of a connection after a packet of its client that conntrack calls invalid. One of a client outside is not
 * masqueraded as the others are, and the endpoint, who knows his connection by the node's address, answers a stranger with a
 * reset. IPVS knows him, and would lead that to him as if it came from the Service.
 */
async function forgedByClient(from: Host, to: End, { ip }: FamilyCase): Promise<Outcome> {
  const client = node.client(from);
  const { port, next, expected } = (await client.open(...to)).connection;
  await client.segment({ from: [ip(from), port], to, next: next + BEYOND, expected });
  const { answers, errors } = await client.again();
  return { answers, errors };
}

/** The same for a packet of the endpoint: it is for the node, which would reset what it has not opened. */
async function forgedByEndpoint(from: Host, to: End, { ip }: FamilyCase): Promise<Outcome> {
  const client = node.client(from);
  const { port, next, expected } = (await client.open(...to)).connection;
  const family = to[0].includes(":") ? "ipv6" : "ipv4";
  const flow = await node.prints(`conntrack -L -f ${family} -p tcp --orig-port-src ${port} 2>/dev/null`);
  const [, masked = "", maskedPort] = / dst=(\S+) sport=8080 dport=(\d+)/.exec(flow) ?? [];
  const pod = node.pod("a");
  const segment = { next: expected + BEYOND, expected: next };
  await node.client(pod).segment({ from: [ip(pod), 8080], to: [masked, Number(maskedPort)], ...segment });
  const { answers, errors } = await client.again();
  return { answers, errors };
}

describe("conntrack with timeouts and without be_liberal", () => {
  const agent = agentWith(
    ...["--conntrack-tcp-timeout-established", "2h", "--conntrack-udp-timeout", "170s"],
    ...["--conntrack-udp-timeout-stream", "10m", "--ipvs-tcp-timeout", "11m40s", "--ipvs-udp-timeout", "50s"],
    ...["--ipvs-sync-period", "1s"],
  );

  describe("timeouts set by flags", () => {
    beforeAll(async () => {
      // Linux may send a FIN again before the client acknowledges it (tail loss probe); conntrack would take it for the client's.
      await node.pod("a").namespace.output(["tee", "/proc/sys/net/ipv4/tcp_early_retrans"], "0");
    });

    /** That conntrack has one flow from the pod c which the words select, and how long it will remember that, or less by what has passed. */
    const remembered = (seconds: number, ...words: readonly string[]) =>
      eventually(async () => {
        const text = await node.prints("conntrack -L", ...words, "2>/dev/null");
        const left = [...text.matchAll(/^\w+ +\d+ (\d+) .*?src=(?:10\.244|fd00:244:)/gm)].map((line) =>
          Number(line[1]),
        );
        expect(left).toHaveLength(1);
        expect(left[0]).toBeLessThanOrEqual(seconds);
        expect(left[0]).toBeGreaterThan(seconds / 2);
      });

    test.each(FAMILY_CASES)(
      "%s: conntrack keeps a leaked connection for an hour, an open one for the configured time",
      async (family, { vip }) => {
        const client = node.client(node.pod("c"));
        const words = ["-f", family.toLowerCase(), "-p tcp --state"];
        expect(await client.leak(vip(1), 80)).toEqual(allAnswered({ a: 1 }));
        await remembered(3600, ...words, "CLOSE_WAIT");
        const held = await LongClient.hold(node.pod("c").namespace, vip(1), 80);
        await remembered(7200, ...words, "ESTABLISHED");
        await held.stop();
      },
    );

    test.each(FAMILY_CASES)(
      "%s: conntrack keeps UDP flows for the configured time, longer after they become a stream",
      async (family, { vip }) => {
        const ask = () => node.client(node.pod("c")).udp(vip(1), 53, 1, { fromPort: 4001 });
        const words = ["-f", family.toLowerCase(), "-p udp --sport 4001"];
        await ask();
        await remembered(170, ...words);
        // A flow is a stream after two seconds.
        await sleep(2_500);
        await ask();
        await remembered(600, ...words);
      },
    );

    test("IPVS uses the configured timeouts, and others stay unchanged", async () => {
      expect(await node.prints("ipvsadm -L --timeout")).toContain("Timeout (tcp tcpfin udp): 700 120 50");
      await node.client(node.pod("c")).udp(vips(1)[0], 53);
      const connections = await node.prints("ipvsadm -Lnc");
      expect(connections).toMatch(/UDP +00:[0-4]\d/);
    });

    test("timeouts that another program changes are set again", async () => {
      await node.prints("ipvsadm --set 900 60 300; sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close_wait=60");
      await eventually(
        async () => {
          expect(await node.prints("sysctl -n net.netfilter.nf_conntrack_tcp_timeout_close_wait")).toContain("3600");
          expect(await node.prints("ipvsadm -L --timeout")).toContain("Timeout (tcp tcpfin udp): 700 60 50");
        },
        { withinMs: 20_000, everyMs: 200 },
      );
    });
  });

  describe("packets outside of the window", () => {
    test.each(FAMILY_CASES)(
      "%s: end no masqueraded connection, at a NodePort or a ClusterIP (G-35)",
      async (_, family) => {
        const nodePort: End = [family.ip(node.node), 30_080];
        expect(await forgedByClient(node.outside, nodePort, family)).toEqual(GOES_ON);
        expect(await forgedByClient(node.outside, [family.vip(1), 80], family)).toEqual(GOES_ON);
        expect(await forgedByEndpoint(node.outside, nodePort, family)).toEqual(GOES_ON);
      },
    );

    test.each(FAMILY_CASES)("%s: end no connection of a pod", async (_, family) => {
      expect(await forgedByClient(node.pod("c"), [family.vip(1), 80], family)).toEqual(GOES_ON);
      expect(await forgedByEndpoint(node.pod("c"), [family.vip(1), 80], family)).toEqual(GOES_ON);
    });

    test.each(FAMILY_CASES)("%s: of no Service are forwarded, as with asymmetric routes", async (name, { ip }) => {
      const iptables = name === "IPv4" ? "iptables" : "ip6tables";
      const invalid = "POSTROUTING -m conntrack --ctstate INVALID -j RETURN";
      await node.prints(`${iptables} -t mangle -I ${invalid}`);
      const client = node.client(node.outside);
      const to: End = [ip(node.pod("c")), 8080];
      const { port, next, expected } = (await client.open(...to)).connection;
      await client.segment({ from: [ip(node.outside), port], to, next: next + BEYOND, expected });
      await eventually(async () => {
        const counted = new RegExp(`\\[[1-9]\\d*:\\d+\\] -A ${invalid}`);
        expect(await node.prints(`${iptables}-save -c -t mangle`)).toMatch(counted);
      });
      await node.prints(`${iptables} -t mangle -D ${invalid}`);
    });

    test.each(FAMILY_CASES)("%s: end a connection without the rules", async (name, family) => {
      const nodePort: End = [family.ip(node.node), 30_080];
      await agent().whilePaused(async () => {
        await node.prints(name === "IPv4" ? "iptables" : "ip6tables", "-F KUBE-IPVS-INVALID");
        expect(await forgedByClient(node.outside, nodePort, family)).toEqual(ENDS);
        expect(await forgedByEndpoint(node.outside, nodePort, family)).toEqual(ENDS);
      });
    });
  });
});

describe("packets outside of the window that a liberal conntrack accepts", () => {
  agentWith("--conntrack-tcp-be-liberal");

  test.each(FAMILY_CASES)("%s: end no connection, and none is dropped", async (name, family) => {
    const nodePort: End = [family.ip(node.node), 30_080];
    expect(await forgedByClient(node.outside, nodePort, family)).toEqual(GOES_ON);
    expect(await forgedByEndpoint(node.outside, nodePort, family)).toEqual(GOES_ON);
    expect(await node.prints(name === "IPv4" ? "iptables-save" : "ip6tables-save")).not.toContain("INVALID -j");
  });
});
