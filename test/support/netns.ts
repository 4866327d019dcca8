import { join } from "node:path";
import { Client, firstLine } from "./client.ts";
import { Namespace, output } from "./namespace.ts";
import { Shell } from "./shell.ts";

const POD_SERVER = join(import.meta.dirname, "pod-server.pl");

/** Addresses of both families. */
export interface Host {
  readonly namespace: Namespace;
  readonly ip: string;
  readonly ip6: string;
}

export interface Pod extends Host {
  readonly name: string;
}

export interface NodeOptions {
  /** 1 to 255; part of every address of the node. */
  readonly number?: number;
  /** Each serves `ports` under its name. */
  readonly pods: readonly string[];
  /** By default tcp:8080 and udp:5353. */
  readonly ports?: readonly string[];
}

/**
 * A node N as network namespaces: the node itself, its pods and a host outside, joined by veth pairs.
 *
 *   outside 192.168.N.2 ---- eth0 192.168.N.10 node  pod0 10.244.N.1 ---- eth0 10.244.N.10 pod
 *           fd00:192:N::2         fd00:192:N::10          fd00:244:N::1        fd00:244:N::10
 *                                                    pod1 10.244.N.1 ---- eth0 10.244.N.11 pod ...
 *
 * Pods are routed one by one, as with the "ptp" plugin of CNI, not bridged: on a bridge the answer of one pod to another
 * goes past the node's IP layer unless br_netfilter catches it. The node has a pod subnet of its own, so that other nodes
 * can be given a route to it.
 */
export class TestNode implements AsyncDisposable {
  readonly name: string;
  readonly node: Host;
  readonly outside: Host;
  readonly pods: readonly Pod[];
  readonly #clients = new Map<Namespace, Client>();
  #shell: Shell | undefined;

  private constructor({ number = 1, pods }: NodeOptions) {
    this.name = `node-${number}`;
    this.node = {
      namespace: new Namespace(this.name),
      ip: `192.168.${number}.10`,
      ip6: `fd00:192:${number}::10`,
    };
    this.outside = {
      namespace: new Namespace(`${this.name}-outside`),
      ip: `192.168.${number}.2`,
      ip6: `fd00:192:${number}::2`,
    };
    this.pods = pods.map((name, index) => ({
      name,
      namespace: new Namespace(`${this.name}-${name}`),
      ip: `10.244.${number}.${index + 10}`,
      ip6: `fd00:244:${number}::${index + 10}`,
    }));
  }

  /** Makes the namespaces; all pods serve when this resolves. Whoever gets it disposes of it. */
  static async create(options: NodeOptions): Promise<TestNode> {
    const made = new TestNode(options);
    try {
      await made.#connect(options.number ?? 1);
      await Promise.all(made.pods.map((pod) => made.#serve(pod, options.ports ?? ["tcp:8080", "udp:5353"])));
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
    return made;
  }

  pod(name: string): Pod {
    const found = this.pods.find((pod) => pod.name === name);
    if (found === undefined) throw new Error(`There is no pod "${name}"`);
    return found;
  }

  /** The client process of the node, the outside or a pod; started when first asked for. */
  client(host: Host): Client {
    const known = this.#clients.get(host.namespace) ?? new Client(host.namespace);
    this.#clients.set(host.namespace, known);
    return known;
  }

  /** What a script prints that is run on the node, its words joined as by ssh; throws when one of its commands fails. */
  prints(...words: readonly string[]): Promise<string> {
    return this.shell.run(words.join(" "));
  }

  /** A shell on the node; started when first asked for. */
  get shell(): Shell {
    this.#shell ??= new Shell(this.node.namespace);
    return this.#shell;
  }

  /** Ends everything that runs inside and removes the namespaces. */
  async [Symbol.asyncDispose](): Promise<void> {
    const all = this.#namespaces();
    await Promise.all(all.map((namespace) => namespace.leave()));
    const names = new Set((await output(["ip", "netns", "list"])).split("\n").map((line) => line.split(" ")[0]));
    const left = all.filter(({ name }) => names.has(name));
    await output(["ip", "-batch", "-"], lines(left.map(({ name }) => `netns delete ${name}`)));
  }

  #namespaces(): readonly Namespace[] {
    return [this.node.namespace, this.outside.namespace, ...this.pods.map(({ namespace }) => namespace)];
  }

  async #connect(number: number): Promise<void> {
    const { node, outside, pods } = this;
    const pairs = [
      `link add eth0 netns ${node.namespace.name} type veth peer name eth0 netns ${outside.namespace.name}`,
      ...pods.map(
        ({ namespace }, index) =>
          `link add pod${index} netns ${node.namespace.name} type veth peer name eth0 netns ${namespace.name}`,
      ),
    ];
    const made = this.#namespaces().map(({ name }) => `netns add ${name}`);
    await output(["ip", "-batch", "-"], lines([...made, ...pairs]));
    const [gateway, gateway6] = [`10.244.${number}.1`, `fd00:244:${number}::1`];
    // nodad: an address that is still being checked for duplicates cannot be used.
    const up = (device: string) => [`link set lo up`, `link set ${device} up`];
    await Promise.all([
      configure(node.namespace, [
        ...up("eth0"),
        `addr add ${node.ip}/24 dev eth0`,
        `addr add ${node.ip6}/64 dev eth0 nodad`,
        ...pods.flatMap(({ ip, ip6 }, index) => [
          `link set pod${index} up`,
          `addr add ${gateway}/32 dev pod${index}`,
          `addr add ${gateway6}/128 dev pod${index} nodad`,
          `route add ${ip}/32 dev pod${index} src ${gateway}`,
          `route add ${ip6}/128 dev pod${index} src ${gateway6}`,
        ]),
      ]),
      // A refusal is an ICMP message, of which Linux sends one a second; tests want every one.
      node.namespace.output(["tee", "/proc/sys/net/ipv4/icmp_ratelimit", "/proc/sys/net/ipv6/icmp/ratelimit"], "0"),
      configure(outside.namespace, [
        ...up("eth0"),
        `addr add ${outside.ip}/24 dev eth0`,
        `addr add ${outside.ip6}/64 dev eth0 nodad`,
        `route add default via ${node.ip}`,
        `route add default via ${node.ip6}`,
      ]),
      ...pods.map(({ namespace, ip, ip6 }) =>
        configure(namespace, [
          ...up("eth0"),
          `addr add ${ip}/32 dev eth0`,
          `addr add ${ip6}/128 dev eth0 nodad`,
          `route add ${gateway}/32 dev eth0`,
          `route add ${gateway6}/128 dev eth0`,
          `route add default via ${gateway} src ${ip}`,
          `route add default via ${gateway6} src ${ip6}`,
        ]),
      ),
    ]);
  }

  async #serve({ name, namespace }: Pod, ports: readonly string[]): Promise<void> {
    await firstLine(namespace.start(["perl", POD_SERVER, name, ...ports]));
  }
}

function configure({ name }: Namespace, commands: readonly string[]): Promise<string> {
  return output(["ip", "-n", name, "-batch", "-"], lines(commands));
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join("");
}
