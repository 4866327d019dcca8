import { expect } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../node/agent-process.ts";
import { TestNode } from "../node/netns.ts";
import { type ServiceSpec, serviceObject, sliceObject } from "../objects/builders.ts";
import { eventually } from "../time/eventually.ts";
import { allAnswered } from "../traffic/answers.ts";
import { FAMILY_CASES, vips } from "../traffic/families.ts";
import type { Neighbour } from "./neighbour.ts";
import { flushTables } from "./tables.ts";

/** The load balancer addresses of the Service. */
export const BALANCED = { ip: "203.0.113.1", ip6: "2001:db8:2::1" };
/** The NodePort of the Service. */
export const NODE_PORT = 30_080;

export interface SharedNodeOptions {
  /** More fields of the Service "shop/web". */
  readonly service?: ServiceSpec;
  /** More objects of the cluster. */
  readonly objects?: (node: TestNode) => readonly object[];
}

/**
 * A node that an agent shares with other programs. The Service "shop/web" has pod a behind its ClusterIPs number 1, its
 * NodePort and its load balancer addresses. Pod b is its client; pod c is for neighbours.
 */
export class SharedNode implements AsyncDisposable {
  readonly node: TestNode;
  readonly #manifests: ManifestFolder;

  private constructor(node: TestNode, manifests: ManifestFolder) {
    this.node = node;
    this.#manifests = manifests;
  }

  /** Makes the node with its pods and the manifests; no agent and no neighbour runs. */
  static async create({ service = {}, objects = () => [] }: SharedNodeOptions = {}): Promise<SharedNode> {
    const manifests = await ManifestFolder.create();
    const node = await TestNode.create({ pods: ["a", "b", "c"] });
    const { ip, ip6 } = node.pod("a");
    await manifests.put("all.json", [
      serviceObject("shop/web", {
        type: "LoadBalancer",
        ip: vips(1),
        ports: [{ port: 80, nodePort: NODE_PORT }],
        loadBalancerIPs: [BALANCED.ip, BALANCED.ip6],
        ...service,
      }),
      sliceObject("shop/web-4", { endpoints: [{ ip, node: node.name, ready: true }] }),
      sliceObject("shop/web-6", { endpoints: [{ ip: ip6, node: node.name, ready: true }] }),
      ...objects(node),
    ]);
    return new SharedNode(node, manifests);
  }

  /** Starts an agent that resyncs all the time; it has done its first sync when this resolves. */
  async start(...flags: readonly string[]): Promise<AgentProcess> {
    const agent = AgentProcess.start(this.node, this.#manifests, "--ipvs-sync-period", "2s", ...flags);
    await agent.ready();
    return agent;
  }

  /**
   * Starts neighbour and agent in this order, reloads the neighbour, and removes both. Throws unless both work in between, and
   * the removal of one leaves what the other has made.
   */
  async live(neighbour: Neighbour, first: "neighbour" | "agent"): Promise<void> {
    try {
      await this.#live(neighbour, first);
    } catch (error) {
      await this.#removeAll(neighbour);
      throw error;
    }
  }

  async #live(neighbour: Neighbour, first: "neighbour" | "agent"): Promise<void> {
    if (first === "neighbour") await neighbour.layOut(this.node);
    const before = await this.othersState();
    {
      await using agent = await this.start();
      if (first === "agent") await neighbour.layOut(this.node);
      await this.#expectBoth(neighbour);
      await neighbour.reload(this.node);
      const reloadedAt = await resyncs(agent);
      await this.#expectBoth(neighbour);
      // One may have been under way.
      await eventually(async () => expect(await resyncs(agent)).toBeGreaterThan(reloadedAt + 1), {
        withinMs: 20_000,
        everyMs: 200,
      });
      await this.#expectBoth(neighbour);
    }
    await this.cleanUp();
    if (first === "neighbour") expect(await this.othersState()).toEqual(before);
    await neighbour.remove(this.node);
    if (first === "agent") expect(await this.othersState()).toEqual(before);
  }

  /** Leaves the node as it was made, for the next test. */
  async #removeAll(neighbour: Neighbour): Promise<void> {
    await Promise.allSettled([neighbour.remove(this.node)]);
    await flushTables(this.node);
    await this.cleanUp();
  }

  /** Removes all that is the agent's. */
  async cleanUp(): Promise<void> {
    const { code, err } = await kubeIpvs(this.node, "cleanup", ...flagsFor(this.node, this.#manifests));
    expect({ code, err }).toEqual({ code: 0, err: "" });
  }

  async #expectBoth(neighbour: Neighbour): Promise<void> {
    await this.expectServed();
    await neighbour.expectEffect(this.node);
  }

  /** Throws unless the Service answers at its ClusterIP, its NodePort and its load balancer address, in both families. */
  async expectServed(): Promise<void> {
    const { node } = this;
    const [pod, outside] = [node.client(node.pod("b")), node.client(node.outside)];
    await Promise.all(
      FAMILY_CASES.flatMap(([, { vip, ip }]) => [
        expectAnswer(pod.tcp(vip(1), 80), "a pod, ClusterIP"),
        expectAnswer(node.client(node.node).tcp(vip(1), 80), "the node, ClusterIP"),
        expectAnswer(outside.tcp(ip(node.node), NODE_PORT), "outside, NodePort"),
        expectAnswer(outside.tcp(ip(BALANCED), 80), "outside, load balancer"),
      ]),
    );
  }

  /** Returns the rules, sets, virtual servers and addresses of the node, sorted. */
  async othersState(): Promise<readonly string[]> {
    const text = await this.node.prints("iptables-save; ip6tables-save; ipset save; ipvsadm -Sn; ip -br address");
    // Counters of chains and the seeds of sets differ each time.
    const lines = text.split("\n").map((line) => line.replace(/ \[\d+:\d+\]$| initval \S+/, "").trimEnd());
    // Builtin chains and COMMIT appear with the first use of a table.
    return lines.filter((line) => !/^($|#|\*|COMMIT|:[A-Z]+ (ACCEPT|DROP)$)/.test(line)).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
    await this.#manifests[Symbol.asyncDispose]();
  }
}

async function expectAnswer(asked: Promise<unknown>, frontend: string): Promise<void> {
  expect(await asked, frontend).toEqual(allAnswered({ a: 1 }));
}

/** Returns the number of resyncs that the agent has completed. */
async function resyncs(agent: AgentProcess): Promise<number> {
  return (await agent.metrics()).get("kube_ipvs_resync_duration_seconds_count") ?? 0;
}
