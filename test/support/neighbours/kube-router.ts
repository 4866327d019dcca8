import { expect } from "vitest";
import type { TestNode } from "../node/netns.ts";
import { allAnswered, IN_VAIN } from "../traffic/answers.ts";
import { FAMILY_CASES } from "../traffic/families.ts";
import { POLICY_SETS, type PolicyRulesSpec, rewrittenFilterTable, setName } from "./kube-router-rules.ts";
import type { Neighbour } from "./neighbour.ts";
import { BALANCED, NODE_PORT } from "./shared-node.ts";

export interface KubeRouterOptions {
  /** --loadbalancer-ip-range: ranges of IPv4, then of IPv6. */
  readonly loadBalancerRanges: readonly [readonly string[], readonly string[]];
}

/** Its chains and sets by family. */
const FAMILIES = [
  { iptables: "iptables", family: "inet", clusterIPRange: "10.96.0.0/16", of: FAMILY_CASES[0]?.[1] },
  { iptables: "ip6tables", family: "inet6", clusterIPRange: "fd00:96::/112", of: FAMILY_CASES[1]?.[1] },
] as const;

/**
 * kube-router as network policy alone (--run-firewall=true, the others false). Its policy selects pod a and admits pod b and
 * the host outside; pod c is denied. A sync replaces the whole filter table by a changed copy, every five minutes and for
 * each change of pods and policies.
 */
export class KubeRouter implements Neighbour {
  readonly #options: KubeRouterOptions;

  constructor(options: KubeRouterOptions) {
    this.#options = options;
  }

  async layOut(node: TestNode): Promise<void> {
    await this.#sync(node, "A");
  }

  /** Two syncs: the chains of pods have their first names again. */
  async reload(node: TestNode): Promise<void> {
    await this.#sync(node, "B");
    await this.#sync(node, "A");
  }

  async remove(node: TestNode): Promise<void> {
    for (const { iptables } of FAMILIES) await replaceFilterTable(node, iptables);
    const sets = FAMILIES.flatMap(({ family }) =>
      Object.values(POLICY_SETS).map((base) => `ipset destroy ${setName(base, family === "inet6")}`),
    );
    await node.prints(sets.join("\n"));
  }

  /** Pod c does not reach pod a, directly or through any address of the Service; pod b does. */
  async expectEffect(node: TestNode): Promise<void> {
    const [admitted, denied] = [node.client(node.pod("b")), node.client(node.pod("c"))];
    await Promise.all(
      FAMILY_CASES.map(async ([, { vip, ip }]) => {
        const ways: readonly (readonly [string, number])[] = [
          [ip(node.pod("a")), 8080],
          [vip(1), 80],
          [ip(node.node), NODE_PORT],
          [ip(BALANCED), 80],
        ];
        for (const [address, port] of ways) {
          expect(await admitted.tcp(address, port), `pod b to ${address}`).toEqual(allAnswered({ a: 1 }));
          const { answers } = await denied.tcp(address, port, 1, IN_VAIN);
          expect(answers, `pod c to ${address}`).toEqual({});
        }
      }),
    );
  }

  async #sync(node: TestNode, version: string): Promise<void> {
    for (const [index, { iptables, family, clusterIPRange, of }] of FAMILIES.entries()) {
      if (of === undefined) throw new Error("There are two families");
      const isIPv6 = family === "inet6";
      const { guarded, pods, networks } = POLICY_SETS;
      await fillSet(node, setName(guarded, isIPv6), `hash:ip family ${family} timeout 0`, of.ip(node.pod("a")));
      await fillSet(node, setName(pods, isIPv6), `hash:ip family ${family} timeout 0`, of.ip(node.pod("b")));
      await fillSet(node, setName(networks, isIPv6), `hash:net family ${family} timeout 0`, of.ip(node.outside));
      await replaceFilterTable(node, iptables, {
        isIPv6,
        clusterIPRange,
        loadBalancerRanges: this.#options.loadBalancerRanges[index] ?? [],
        version,
        pods: node.pods.map((pod) => ({ ip: of.ip(pod), isGuarded: pod.name === "a" })),
      });
    }
  }
}

/** Fills a set as kube-router does: a temporary set is filled and swapped in. */
async function fillSet(node: TestNode, name: string, type: string, member: string): Promise<void> {
  const temporary = "TMP-7NOTZDOMLXBX6DAJ";
  const lines = [
    `create ${temporary} ${type}`,
    `add ${temporary} ${member}`,
    `create -exist ${name} ${type}`,
    `swap ${temporary} ${name}`,
    `destroy ${temporary}`,
  ];
  await node.prints(`ipset restore -exist <<'END'\n${lines.join("\n")}\nEND`);
}

async function replaceFilterTable(node: TestNode, iptables: string, spec?: PolicyRulesSpec): Promise<void> {
  const lock = `XTABLES_LOCKFILE=/run/xtables-${node.name}.lock`;
  const saved = await node.prints(`${iptables}-save -t filter`);
  await node.prints(`${lock} ${iptables}-restore --wait -T filter <<'END'\n${rewrittenFilterTable(saved, spec)}END`);
}
