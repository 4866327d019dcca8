import type { Host, TestNode } from "../node/netns.ts";
import { nodeObject, type ServiceSpec, serviceObject, sliceObject } from "../objects/builders.ts";
import { IN_VAIN } from "./answers.ts";
import type { Client } from "./client.ts";

/*
 * Services with frontends for clients outside the cluster. The pods a and b run on the node; by its slices b runs on another node.
 */

const HTTP = { name: "http", port: 80 };
const DNS = { name: "dns", port: 53, protocol: "UDP" };

/** The health check of the Service local. */
export const CHECK_PORT = 32_002;

/** Addresses that the node gets later. */
export const SHARED = ["192.168.1.77", "fd00:192:1::77"] as const;

const ENDPOINT_PORTS = [
  { name: "http", port: 8080 },
  { name: "dns", port: 5353, protocol: "UDP" },
];

/** Dual-stack Service number N: 10.96.0.N, external IP 198.51.100.N, load balancer 203.0.113.N, NodePorts 30N80 and 30N53. */
function exposed(
  node: TestNode,
  name: string,
  number: number,
  on: readonly string[],
  said: ServiceSpec = {},
): readonly object[] {
  const endpoints = (ipOf: (host: Host) => string) =>
    on.map((pod) => ({ ip: ipOf(node.pod(pod)), node: pod === "b" ? "elsewhere" : node.name, ready: true }));
  const spec: ServiceSpec = {
    type: "LoadBalancer",
    ip: [`10.96.0.${number}`, `fd00:96::${number}`],
    ports: [
      { ...HTTP, nodePort: 30_080 + number * 100 },
      { ...DNS, nodePort: 30_053 + number * 100 },
    ],
    externalIPs: [`198.51.100.${number}`, `2001:db8:1::${number}`],
    loadBalancerIPs: [`203.0.113.${number}`, `2001:db8:2::${number}`],
    ...said,
  };
  return [
    serviceObject(`shop/${name}`, spec),
    sliceObject(`shop/${name}-4`, { ports: ENDPOINT_PORTS, endpoints: endpoints(({ ip }) => ip) }),
    sliceObject(`shop/${name}-6`, {
      ports: ENDPOINT_PORTS,
      endpoints: endpoints(({ ip6 }) => ip6),
      addressType: "IPv6",
    }),
  ];
}

/** The Node, a network of ClusterIPs, and Services with endpoints on this node, elsewhere, and nowhere. */
export function exposedServices(node: TestNode): readonly object[] {
  const pod = node.pod("c");
  return [
    nodeObject(node.name, { ips: [node.node.ip, node.node.ip6] }),
    ...exposed(node, "everywhere", 1, ["a", "b"]),
    ...exposed(node, "local", 2, ["a", "b"], { external: "Local", healthCheckNodePort: CHECK_PORT }),
    ...exposed(node, "away", 3, ["b"], { external: "Local" }),
    ...exposed(node, "nowhere", 4, [], { external: "Local", internal: "Local" }),
    ...exposed(node, "inside", 5, ["b"], { internal: "Local" }),
    ...exposed(node, "restricted", 6, ["a", "b"], { sourceRanges: [`${pod.ip}/32`, `${pod.ip6}/128`] }),
    ...exposed(node, "own", 7, ["a", "b"], { sourceRanges: [`${node.node.ip}/32`], external: "Local" }),
    // Its port is the number of a NodePort of another Service.
    ...exposed(node, "number", 8, ["a"], { external: "Local", ports: [{ ...HTTP, port: 30_180 }] }),
    ...exposed(node, "sticky", 9, ["a", "b"], { external: "Local", affinity: 600 }),
    ...exposed(node, "shared", 10, ["a", "b"], { ports: [HTTP, DNS], externalIPs: SHARED, loadBalancerIPs: [] }),
    {
      kind: "ServiceCIDR",
      apiVersion: "networking.k8s.io/v1",
      metadata: { name: "kubernetes" },
      spec: { cidrs: ["10.96.0.0/16", "fd00:96::/112"] },
    },
  ];
}

/** How the tests of a family name hosts and frontends. */
export interface Family {
  readonly name: string;
  readonly of: (host: Host) => string;
  readonly clusterIP: (number: number) => string;
  readonly externalIP: (number: number) => string;
  readonly loadBalancer: (number: number) => string;
  /** Address of the node towards its pods. */
  readonly gateway: string;
}

export const FAMILIES: readonly Family[] = [
  {
    name: "IPv4",
    of: ({ ip }) => ip,
    clusterIP: (number) => `10.96.0.${number}`,
    externalIP: (number) => `198.51.100.${number}`,
    loadBalancer: (number) => `203.0.113.${number}`,
    gateway: "10.244.1.1",
  },
  {
    name: "IPv6",
    of: ({ ip6 }) => ip6,
    clusterIP: (number) => `fd00:96::${number}`,
    externalIP: (number) => `2001:db8:1::${number}`,
    loadBalancer: (number) => `2001:db8:2::${number}`,
    gateway: "fd00:244:1::1",
  },
];

/** A kind of frontend for clients outside. */
export type Kind = "external IP" | "load balancer" | "node port";

/** Where a client reaches a Service over TCP and over UDP. */
export interface Frontend {
  readonly at: string;
  readonly http: number;
  readonly dns: number;
}

/** The frontend of Service number N on this node. */
export function frontendOf(node: Host, kind: Kind, number: number, family: Family): Frontend {
  switch (kind) {
    case "external IP":
      return { at: family.externalIP(number), http: 80, dns: 53 };
    case "load balancer":
      return { at: family.loadBalancer(number), http: 80, dns: 53 };
    case "node port":
      return { at: family.of(node), http: 30_080 + number * 100, dns: 30_053 + number * 100 };
  }
}

/** The pods that answered and the client addresses that they saw; or the error. */
export interface Seen {
  readonly pods: readonly string[];
  readonly clients: readonly string[];
  readonly errors: readonly string[];
}

/** The answers to a client over TCP and over UDP; a drop is tested by one request, as its timeout is long. */
export async function answers(client: Client, { at, http, dns }: Frontend, count = 4): Promise<Seen> {
  const options = count === 1 ? IN_VAIN : {};
  const [tcp, udp] = await Promise.all([client.tcp(at, http, count, options), client.udp(at, dns, count, options)]);
  const keys = (pick: "answers" | "clients" | "errors") =>
    [...new Set([...Object.keys(tcp[pick]), ...Object.keys(udp[pick])])].sort();
  return { pods: keys("answers"), clients: keys("clients"), errors: keys("errors") };
}

/** Answers of these pods to this address of the client. */
export const answered = (pods: readonly string[], client: string): Seen => ({ pods, clients: [client], errors: [] });
/** No answer: the packets are dropped, or rejected. */
export const DROPPED: Seen = { pods: [], clients: [], errors: ["timeout"] };
export const REFUSED: Seen = { pods: [], clients: [], errors: ["refused"] };
