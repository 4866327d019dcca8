import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { allAnswered, IN_VAIN } from "../../support/traffic/answers.ts";
import { FAMILY_CASES, vips } from "../../support/traffic/families.ts";

/** Packet marks are shared with other programs on the node: foreign marks stay, and ours are cleared when they are not needed any more. */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;

/** The mark of Cilium for encryption by IPsec with key 1: it has the highest bit of our marks. */
const THEIRS = "0x1e00";
const MASQUERADE = "0x4000/0x4000";
const NODE_PORT = 30_053;
const UDP = { name: "dns", protocol: "UDP" };

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "c"] });
  const { ip, ip6 } = node.pod("a");
  // No program serves this port, so that no answer ends the time in which a flow is new.
  const slice = (name: string, ip: string) => sliceObject(name, { ports: [{ ...UDP, port: 9 }], endpoints: [ip] });
  await manifests.put("silent.json", [
    serviceObject("shop/silent", {
      ip: vips(1),
      type: "NodePort",
      external: "Local",
      ports: [{ ...UDP, port: 53, nodePort: NODE_PORT }],
    }),
    slice("shop/silent-4", ip),
    slice("shop/silent-6", ip6),
  ]);
  agent = AgentProcess.start(node, manifests);
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

describe.each(FAMILY_CASES)("over %s", (family, { ip }) => {
  const iptables = family === "IPv4" ? "iptables" : "ip6tables";

  /** How many packets match this rule at the end of mangle POSTROUTING while `work` runs. */
  async function counted(match: string, work: () => Promise<unknown>): Promise<number> {
    const rule = `POSTROUTING ${match} -m comment --comment counted`;
    await node.prints(`${iptables} -w -t mangle -A ${rule}`);
    await work();
    const rules = await node.prints(`${iptables}-save -c -t mangle`);
    await node.prints(`${iptables} -w -t mangle -D ${rule}`);
    return Number(/^\[(\d+):\d+\].* --comment counted/m.exec(rules)?.[1]);
  }

  test("a packet with a foreign mark keeps the mark and its source", async () => {
    const { gateway, outside } = node;
    const to = ip(node.pod("a"));
    const theirs = `-d ${to} -p tcp -m tcp --dport 8080`;
    const marking = `${theirs} -j MARK --set-xmark ${THEIRS}/0xffffffff`;
    await node.prints(`for c in PREROUTING OUTPUT; do ${iptables} -w -t mangle -A $c ${marking}; done`);
    for (const [from, seenAs] of [
      [outside, ip(outside)],
      [node.pod("c"), ip(node.pod("c"))],
      [node.node, ip(gateway)],
    ] as const) {
      const ask = async () => expect(await node.client(from).tcp(to, 8080)).toEqual(allAnswered({ a: 1 }, seenAs));
      expect(await counted(`${theirs} -m mark --mark ${THEIRS}`, ask), seenAs).toBeGreaterThan(2);
      expect(await counted(`${theirs} -m mark ! --mark ${THEIRS}`, ask), seenAs).toBe(0);
    }
    await node.prints(`for c in PREROUTING OUTPUT; do ${iptables} -w -t mangle -D $c ${marking}; done`);
  });

  test("of a flow without answers only the first packet gets the masquerade mark, and none keeps a mark", async () => {
    const to = `-d ${ip(node.pod("a"))} -p udp -m udp --dport 9`;
    const send = () => node.client(node.node).udp(ip(node.node), NODE_PORT, 3, { ...IN_VAIN, fromPort: 40_000 });
    expect(await counted(`${to} -m mark --mark ${MASQUERADE}`, send)).toBeLessThanOrEqual(1);
    expect(await counted(to, send)).toBe(3);
    expect(await counted(`${to} -m mark ! --mark 0x0`, send)).toBe(0);
  });
});
