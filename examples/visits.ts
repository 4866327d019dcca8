import type { Host, TestNode } from "../test/support/node/netns.ts";
import type { Answers } from "../test/support/traffic/client.ts";
import { answersText, type Expectations, expectThat } from "./report.ts";

/** One line of the demo: the client, the frontend, the pods that must answer (all of them, or always the same one), and the client address that they must see. */
export interface Visit {
  readonly from: Host;
  readonly claim: string;
  readonly protocol?: "udp";
  readonly address: string;
  readonly port: number;
  readonly by: readonly string[];
  readonly sticky?: true;
  /** Undefined: the client address is not checked. */
  readonly seenAs?: string;
}

/** Every kind of frontend, with each kind of client. */
export function visits(node: TestNode): readonly Visit[] {
  const shopper = node.pod("shopper");
  const [fromPod, fromNode, fromOutside] = [
    { from: shopper, seenAs: shopper.ip },
    { from: node.node, seenAs: "10.244.1.1" },
    { from: node.outside, seenAs: "10.244.1.1" },
  ];
  const both = (name: string) => [`${name}-1`, `${name}-2`];
  const storefront = { by: both("storefront") };
  const catalog = { address: "10.96.0.30", by: both("catalog") };
  return [
    { ...fromPod, claim: "pod to cart", address: "10.96.0.20", port: 80, by: both("cart") },
    { ...fromPod, claim: "pod to catalog, pods on 8080 and 8081", port: 80, ...catalog },
    { ...fromPod, claim: "pod to catalog, grpc", port: 9000, ...catalog },
    { ...fromPod, claim: "pod to catalog, metrics", port: 9100, ...catalog },
    {
      ...{ ...fromPod, claim: "pod to payments, sticky", address: "10.96.0.40", port: 443 },
      ...{ by: both("payments"), sticky: true },
    },
    { ...fromPod, claim: "pod to DNS over UDP", protocol: "udp", address: "10.96.0.53", port: 53, by: both("dns") },
    { ...fromPod, claim: "pod to DNS over TCP", address: "10.96.0.53", port: 53, by: both("dns") },
    { ...fromPod, claim: "pod to search", address: "10.96.0.60", port: 80, by: both("search") },
    {
      ...{ from: shopper, seenAs: shopper.ip6 },
      ...{ claim: "pod to search, IPv6", address: "fd00:10:96::60", port: 80, by: both("search") },
    },
    {
      ...{ from: shopper, seenAs: shopper.ip6 },
      ...{ claim: "pod to recommendations, one of two ready", address: "fd00:10:96::70", port: 80 },
      by: ["recommendations-1"],
    },
    {
      ...{ from: node.pod("orders-1"), seenAs: node.pod("orders-1").ip },
      ...{ claim: "pod orders-1 to storefront", address: "10.96.0.10", port: 443, by: both("storefront") },
    },
    { ...fromNode, claim: "node to storefront", address: "10.96.0.10", port: 80, by: both("storefront") },
    { ...fromNode, claim: "node to DNS over UDP", protocol: "udp", address: "10.96.0.53", port: 53, by: both("dns") },
    {
      ...fromOutside,
      claim: "outside to storefront, NodePort",
      address: node.node.ip,
      port: 30080,
      by: both("storefront"),
    },
    {
      ...{ from: node.outside, seenAs: "fd00:244:1::1" },
      ...{ claim: "outside to recommendations, NodePort, IPv6", address: node.node.ip6, port: 30070 },
      by: ["recommendations-1"],
    },
    {
      ...fromOutside,
      claim: "outside to storefront, load balancer",
      address: "203.0.113.10",
      port: 443,
      ...storefront,
    },
    { ...fromOutside, claim: "outside to storefront, external IP", address: "198.51.100.10", port: 80, ...storefront },
    {
      ...{ from: node.outside, seenAs: node.outside.ip },
      claim: "outside to orders, NodePort, Local: our pod alone, which sees the client",
      ...{ address: node.node.ip, port: 30081, by: ["orders-1"] },
    },
  ];
}

/** Sends 20 requests and reports which pods answered, and whether these are the expected ones. */
export async function make(node: TestNode, visit: Visit, expectations: Expectations): Promise<void> {
  const { from, claim, protocol, address, port, by, sticky, seenAs } = visit;
  const seen = await node.client(from)[protocol ?? "tcp"](address, port, 20);
  const exactly = (names: readonly string[], of: Answers["answers"]) =>
    Object.keys(of).toSorted().join() === names.toSorted().join();
  const byRight = sticky ? by.some((name) => exactly([name], seen.answers)) : exactly(by, seen.answers);
  const holds = byRight && (seenAs === undefined || exactly([seenAs], seen.clients)) && exactly([], seen.errors);
  expectThat(expectations, claim, holds, answersText(seen));
}

/** Sends requests that must be rejected at once. */
export async function makeRejected(
  node: TestNode,
  { from, claim, address, port }: Omit<Visit, "by">,
  expectations: Expectations,
): Promise<void> {
  const seen = await node.client(from).tcp(address, port, 3);
  expectThat(expectations, claim, Object.entries(seen.errors).join() === "refused,3", answersText(seen));
}
