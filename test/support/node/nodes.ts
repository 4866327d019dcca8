import { expect } from "vitest";
import { type EndpointSpec, nodeObject, type SliceSpec, serviceObject, sliceObject } from "../objects/builders.ts";
import { eventually } from "../time/eventually.ts";
import type { Client } from "../traffic/client.ts";
import { AgentProcess, ManifestFolder, sumOf } from "./agent-process.ts";
import { Namespace } from "./namespace.ts";
import { type Addresses, type Host, makeNamespaces, type Pod, removeNamespaces, TestNode } from "./netns.ts";

export interface MemberSpec {
  /** Names that no other pod of the cluster has. */
  readonly pods: readonly string[];
  readonly zone?: string;
}

export interface ClusterOptions {
  /** They are numbered from 1, as are their names and addresses. */
  readonly nodes: readonly MemberSpec[];
  /** Of all nodes, as in NodeOptions. */
  readonly bridge?: string;
  /** Of all pods, as in NodeOptions. */
  readonly ports?: readonly string[];
  /** Of all agents, besides those that name the node. */
  readonly flags?: readonly string[];
}

type EndpointState = Exclude<EndpointSpec, string>;

/** A pod as an endpoint: by its name ready, or with more said. The name of a node is for a pod of the node's network. */
export type PodEndpoint = string | ({ readonly pod: string } & Omit<EndpointState, "ip" | "node">);

/** Looking at what nobody meddles with takes several agents on one CPU seconds, in which changes wait. */
const CALM = ["--ipvs-sync-period", "10m"];

export type SliceMore = Pick<SliceSpec, "service" | "ports" | "labels">;
type Objects = readonly Record<string, unknown>[];

/**
 * One to five nodes, each with its pods, kernel state and agent, and one host outside that is the router between them:
 * every node sees a client of its own network there, and reaches the pods of the others through it.
 *
 *   node-1 192.168.1.10 ---- 192.168.1.2 outside 192.168.2.2 ---- 192.168.2.10 node-2
 *   pods 10.244.1.0/24                                            pods 10.244.2.0/24      and the same in IPv6
 *
 * Nobody controls this cluster: tests write the EndpointSlices, conditions, hints and load balancer addresses.
 */
export class Cluster implements AsyncDisposable {
  readonly nodes: readonly TestNode[];
  readonly #specs: readonly MemberSpec[];
  readonly #flags: readonly string[];
  readonly #outside: Namespace;
  readonly #manifests: ManifestFolder;
  readonly #groups = new Map<string, Objects>();
  readonly #agents = new Map<TestNode, AgentProcess>();
  #changes = 0;

  private constructor(
    { nodes: specs, flags = [] }: ClusterOptions,
    parts: { readonly outside: Namespace; readonly nodes: readonly TestNode[]; readonly manifests: ManifestFolder },
  ) {
    this.#specs = specs;
    this.#flags = [...CALM, ...flags];
    this.#outside = parts.outside;
    this.nodes = parts.nodes;
    this.#manifests = parts.manifests;
  }

  /** Makes the nodes; all pods serve when this resolves, and no agent runs. Whoever gets it disposes of it. */
  static async create(options: ClusterOptions): Promise<Cluster> {
    const outside = new Namespace("outside");
    await makeNamespaces([outside]);
    await outside.output(["tee", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"], "1");
    const { nodes: specs, ports, bridge } = options;
    const alike = { outside, ...(ports === undefined ? {} : { ports }), ...(bridge === undefined ? {} : { bridge }) };
    const nodes = await Promise.all(
      specs.map(({ pods }, index) => TestNode.create({ number: index + 1, pods, ...alike })),
    );
    return new Cluster(options, { outside, nodes, manifests: await ManifestFolder.create() });
  }

  /** The node of that number. */
  node(number: number): TestNode {
    const found = this.nodes[number - 1];
    if (found === undefined) throw new Error(`There is no node ${number}`);
    return found;
  }

  pod(name: string): Pod {
    return this.nodeOf(name).pod(name);
  }

  /** The node that a pod is on. */
  nodeOf(pod: string): TestNode {
    const found = this.nodes.find(({ pods }) => pods.some(({ name }) => name === pod));
    if (found === undefined) throw new Error(`There is no pod "${pod}"`);
    return found;
  }

  /** As whom a pod sees what the node masquerades. */
  addressTowards(pod: string, node: TestNode): Addresses {
    return this.nodeOf(pod) === node ? node.gateway : node.node;
  }

  /** The client process of a pod by its name, of a node or of the host outside. */
  client(from: string | Host): Client {
    return this.node(1).client(typeof from === "string" ? this.pod(from) : from);
  }

  /** Makes the host outside send what is for this address to the node. */
  async route(address: string, { node }: TestNode): Promise<void> {
    const via = address.includes(":") ? node.ip6 : node.ip;
    await this.#outside.output(["ip", "route", "replace", address, "via", via]);
  }

  /** EndpointSlices of both families for these pods; of the Service of that name, unless `more` says another. */
  slices(name: string, endpoints: readonly PodEndpoint[], more: SliceMore = {}): Objects {
    return [4, 6].map((family) =>
      sliceObject(`${name}-${family}`, {
        ...more,
        endpoints: endpoints.map((said) => this.#endpoint(said, family === 4 ? "ip" : "ip6")),
        addressType: `IPv${family}`,
      }),
    );
  }

  #endpoint(said: PodEndpoint, family: "ip" | "ip6"): EndpointState {
    const { pod, ...state } = typeof said === "string" ? { pod: said } : said;
    const node = this.nodes.find(({ name }) => name === pod);
    const at = node === undefined ? { host: this.pod(pod), node: this.nodeOf(pod) } : { host: node.node, node };
    return { ip: at.host[family], node: at.node.name, ready: true, ...state };
  }

  /** Starts the agents of all nodes that have none, with these flags besides; they have done their first sync when this resolves. */
  async start(...flags: readonly string[]): Promise<void> {
    await this.#write();
    const begun = this.nodes
      .filter((node) => !this.#agents.has(node))
      .map((node) => {
        const agent = AgentProcess.start(node, this.#manifests, ...this.#flags, ...flags);
        this.#agents.set(node, agent);
        return agent;
      });
    await Promise.all(begun.map((agent) => agent.ready()));
  }

  /** The agent that runs on the node. */
  agent(node: TestNode): AgentProcess {
    const found = this.#agents.get(node);
    if (found === undefined) throw new Error(`No agent runs on "${node.name}"`);
    return found;
  }

  /** Ends the agent of the node; what it has programmed stays. */
  async stop(node: TestNode): Promise<void> {
    await this.agent(node)[Symbol.asyncDispose]();
    this.#agents.delete(node);
  }

  /** Puts objects in the place of those that were given under this name; every agent has programmed them when it resolves. */
  async apply(name: string, objects: Objects): Promise<void> {
    this.#groups.set(name, objects);
    const before = await Promise.all([...this.#agents.values()].map(programmed));
    await this.#write();
    await eventually(
      async () => {
        const now = await Promise.all([...this.#agents.values()].map(programmed));
        expect(now.every((count, index) => count > (before[index] ?? 0))).toBe(true);
      },
      { withinMs: 20_000 },
    );
  }

  /**
   * All in one file, so that an agent reads the clock below with what was written beside it, never without. Agents count
   * how often they were done with all they knew since a slice that says when it was changed: the clock is the only one.
   */
  async #write(): Promise<void> {
    this.#changes++;
    const clock = [
      serviceObject("cluster/clock", { ip: "10.96.255.254", ports: [{ port: 9, protocol: "UDP" }] }),
      sliceObject("cluster/clock-1", {
        ports: [{ port: this.#changes, protocol: "UDP" }],
        endpoints: ["10.244.255.1"],
        annotations: { "endpoints.kubernetes.io/last-change-trigger-time": new Date().toISOString() },
      }),
    ];
    const nodes = this.nodes.map(({ name, node }, index) => {
      const { zone } = this.#specs[index] ?? {};
      const podCIDRs = [`10.244.${index + 1}.0/24`, `fd00:244:${index + 1}::/64`];
      return nodeObject(name, { ips: [node.ip, node.ip6], podCIDRs, ...(zone === undefined ? {} : { zone }) });
    });
    await this.#manifests.put("cluster.json", [...nodes, ...clock, ...[...this.#groups.values()].flat()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent[Symbol.asyncDispose]()));
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await removeNamespaces([this.#outside]);
    await this.#manifests[Symbol.asyncDispose]();
  }
}

/** How often the agent had programmed a change that its slice dates. */
async function programmed(agent: AgentProcess): Promise<number> {
  return sumOf(await agent.metrics(), /^kubeproxy_network_programming_duration_seconds_count/);
}
