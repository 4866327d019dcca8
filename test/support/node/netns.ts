import { join } from "node:path";
import { Client, firstLine } from "../traffic/client.ts";
import { ended, Namespace, output } from "./namespace.ts";
import type { Program } from "./program.ts";
import { Shell } from "./shell.ts";

const POD_SERVER = join(import.meta.dirname, "pod-server.pl");

export interface Addresses {
  readonly ip: string;
  readonly ip6: string;
}

/** A namespace by its addresses. */
export interface Host extends Addresses {
  readonly namespace: Namespace;
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
  /** A bridge of that name with all pods on it; by default each has a link of its own to the node. */
  readonly bridge?: string;
  /** The host outside, which exists, routes and outlives the node; by default the node has one of its own. */
  readonly outside?: Namespace;
}

/**
 * A node N as network namespaces: the node itself, its pods and a host outside, joined by veth pairs.
 *
 *   outside 192.168.N.2 ---- eth0 192.168.N.10 node  pod0 10.244.N.1 ---- eth0 10.244.N.10 pod
 *           fd00:192:N::2         fd00:192:N::10          fd00:244:N::1        fd00:244:N::10
 *                                                    pod1 10.244.N.1 ---- eth0 10.244.N.11 pod ...
 *
 * With an outside that is given, that is the router to other nodes: the node sends there what it has no route for.
 *
 * Pods are routed one by one, as with the "ptp" plugin of CNI. Even on a bridge they reach each other through the node:
 * else the answer of one to another would go past its IP layer unless br_netfilter caught it. The node has a pod subnet of
 * its own, to which the outside has a route.
 */
export class TestNode implements AsyncDisposable {
  readonly name: string;
  readonly node: Host;
  /** The address that the node has towards its pods. */
  readonly gateway: Addresses;
  readonly outside: Host;
  readonly pods: readonly Pod[];
  readonly #ports: readonly string[];
  readonly #own: readonly Namespace[];
  readonly #servers = new Map<Namespace, Program>();
  readonly #clients = new Map<Namespace, Client>();
  #shell: Shell | undefined;

  private constructor({ number = 1, pods, ports = ["tcp:8080", "udp:5353"], outside }: NodeOptions) {
    this.#ports = ports;
    this.name = `node-${number}`;
    this.node = {
      namespace: new Namespace(this.name),
      ip: `192.168.${number}.10`,
      ip6: `fd00:192:${number}::10`,
    };
    this.gateway = { ip: `10.244.${number}.1`, ip6: `fd00:244:${number}::1` };
    this.outside = {
      namespace: outside ?? new Namespace(`${this.name}-outside`),
      ip: `192.168.${number}.2`,
      ip6: `fd00:192:${number}::2`,
    };
    this.pods = pods.map((name, index) => ({
      name,
      namespace: new Namespace(`${this.name}-${name}`),
      ip: `10.244.${number}.${index + 10}`,
      ip6: `fd00:244:${number}::${index + 10}`,
    }));
    this.#own = [
      this.node.namespace,
      ...(outside === undefined ? [this.outside.namespace] : []),
      ...this.pods.map(({ namespace }) => namespace),
    ];
  }

  /** Makes the namespaces; all pods serve when this resolves. Whoever gets it disposes of it. */
  static async create(options: NodeOptions): Promise<TestNode> {
    const made = new TestNode(options);
    try {
      await made.#connect(options);
      await Promise.all(made.pods.map((pod) => made.serve(pod, pod.name)));
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

  /** Starts a server in a pod, or on the node as a pod of its network; it serves when this resolves. */
  async serve({ namespace, ip, ip6 }: Host, name: string): Promise<void> {
    const server = namespace.start(["perl", POD_SERVER, "--at", `${ip},${ip6}`, name, ...this.#ports]);
    this.#servers.set(namespace, server);
    await firstLine(server);
  }

  /** Kills the server of a pod: its connections end, and new ones are refused. */
  async silence({ namespace }: Host): Promise<void> {
    const server = this.#servers.get(namespace);
    if (server !== undefined) await ended(server, "SIGKILL");
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
    await removeNamespaces(this.#own);
  }

  async #connect({ number = 1, outside: router, bridge }: NodeOptions): Promise<void> {
    const { node, gateway, outside, pods } = this;
    const podLinks = bridge === undefined ? pods.map((_, index) => `pod${index}`) : [bridge];
    // A router has one interface for each node.
    const device = router === undefined ? "eth0" : this.name;
    const pairs = [
      `link add eth0 netns ${node.namespace.name} type veth peer name ${device} netns ${outside.namespace.name}`,
      ...pods.map(
        ({ namespace }, index) =>
          `link add pod${index} netns ${node.namespace.name} type veth peer name eth0 netns ${namespace.name}`,
      ),
    ];
    // nodad: an address that is still being checked for duplicates cannot be used.
    const up = (device: string) => [`link set lo up`, `link set ${device} up`];
    await output(
      ["sh", "-e"],
      [
        batch([], [...this.#own.map(({ name }) => `netns add ${name}`), ...pairs]),
        // The node would tell pods on a bridge that they have a shorter way to each other.
        ...(bridge === undefined ? [] : pods.map(({ namespace }) => zero(namespace, REDIRECTS))),
        inside(node.namespace, [
          ...up("eth0"),
          `addr add ${node.ip}/24 dev eth0`,
          `addr add ${node.ip6}/64 dev eth0 nodad`,
          ...(router === undefined ? [] : defaultVia(outside)),
          ...(bridge === undefined ? [] : [`link add ${bridge} type bridge`]),
          ...podLinks.flatMap((link) => [
            `link set ${link} up`,
            `addr add ${gateway.ip}/32 dev ${link}`,
            `addr add ${gateway.ip6}/128 dev ${link} nodad`,
          ]),
          ...pods.flatMap(({ ip, ip6 }, index) => [
            ...(bridge === undefined ? [] : [`link set pod${index} master ${bridge} up`]),
            `route add ${ip}/32 dev ${bridge ?? `pod${index}`} src ${gateway.ip}`,
            `route add ${ip6}/128 dev ${bridge ?? `pod${index}`} src ${gateway.ip6}`,
          ]),
        ]),
        // A refusal is an ICMP message, of which Linux sends one a second; tests want every one.
        zero(node.namespace, ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"]),
        inside(outside.namespace, [
          ...up(device),
          `addr add ${outside.ip}/24 dev ${device}`,
          `addr add ${outside.ip6}/64 dev ${device} nodad`,
          ...(router === undefined
            ? defaultVia(node)
            : [`route add 10.244.${number}.0/24 via ${node.ip}`, `route add fd00:244:${number}::/64 via ${node.ip6}`]),
        ]),
        ...pods.map(({ namespace, ip, ip6 }) =>
          inside(namespace, [
            ...up("eth0"),
            `addr add ${ip}/32 dev eth0`,
            `addr add ${ip6}/128 dev eth0 nodad`,
            `route add ${gateway.ip}/32 dev eth0`,
            `route add ${gateway.ip6}/128 dev eth0`,
            `route add default via ${gateway.ip} src ${ip}`,
            `route add default via ${gateway.ip6} src ${ip6}`,
          ]),
        ),
      ].join("\n"),
    );
  }
}

export async function makeNamespaces(namespaces: readonly Namespace[]): Promise<void> {
  await output(["ip", "-batch", "-"], lines(namespaces.map(({ name }) => `netns add ${name}`)));
}

/** Ends all that was started inside and removes those of them that exist. */
export async function removeNamespaces(namespaces: readonly Namespace[]): Promise<void> {
  await Promise.all(namespaces.map((namespace) => namespace.leave()));
  const names = new Set((await output(["ip", "netns", "list"])).split("\n").map((line) => line.split(" ")[0]));
  const left = namespaces.filter(({ name }) => names.has(name));
  await output(["ip", "-batch", "-"], lines(left.map(({ name }) => `netns delete ${name}`)));
}

function defaultVia({ ip, ip6 }: Host): readonly string[] {
  return [`route add default via ${ip}`, `route add default via ${ip6}`];
}

const REDIRECTS = ["all", "eth0"].flatMap((name) =>
  [4, 6].map((version) => `ipv${version}/conf/${name}/accept_redirects`),
);

/** The line of a shell script that writes 0 to these files of /proc/sys/net. */
function zero({ name }: Namespace, files: readonly string[]): string {
  const paths = files.map((file) => `/proc/sys/net/${file}`);
  return `echo 0 | nsenter --net=/run/netns/${name} tee ${paths.join(" ")}`;
}

/** The lines of a shell script that have `ip` carry out commands in one go. */
function batch(options: readonly string[], commands: readonly string[]): string {
  return `${["ip", ...options].join(" ")} -batch - <<'END'\n${lines(commands)}END`;
}

function inside({ name }: Namespace, commands: readonly string[]): string {
  return batch(["-n", name], commands);
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join("");
}
