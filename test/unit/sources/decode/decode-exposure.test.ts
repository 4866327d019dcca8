import { expect, test } from "vitest";
import { decodeService } from "../../../../src/sources/decode/decode-service.ts";
import { type ServiceSpec, serviceObject } from "../../../support/objects/builders.ts";

/** The exposure of a dual-stack Service that must be accepted, and "field=value: reason" for each of its faults. */
function exposed(said: ServiceSpec) {
  const result = decodeService(serviceObject("shop/web", { ip: ["10.96.0.10", "fd00::a"], ...said }));
  if (result.kind !== "accepted") throw new Error(`not wanted: ${JSON.stringify(result)}`);
  const { externalIPs, loadBalancerIPs, sourceRanges, healthCheckNodePort } = result.value;
  return {
    externalIPs,
    loadBalancerIPs,
    ranges: sourceRanges?.map((range) => range.text),
    healthCheckNodePort,
    faults: result.problems.map((fault) => `${fault.field}=${fault.value}: ${fault.reason}`),
  };
}

test.each<[string, ServiceSpec, readonly string[], readonly string[]]>([
  ["none", {}, [], []],
  ["of both families", { externalIPs: ["203.0.113.5", "2001:DB8::5"] }, ["203.0.113.5", "2001:db8::5"], []],
  ["one written in two ways", { externalIPs: ["203.0.113.5", "203.000.113.005"] }, ["203.0.113.5"], []],
  ["blank ones", { externalIPs: ["", " ", "203.0.113.5"] }, ["203.0.113.5"], []],
  ["with a NodePort type", { type: "NodePort", externalIPs: ["203.0.113.5"] }, ["203.0.113.5"], []],
  [
    "a host name",
    { externalIPs: ["example.com", "203.0.113.5"] },
    ["203.0.113.5"],
    ["spec.externalIPs[0]=example.com: must be an IP address"],
  ],
  [
    "a family without a cluster IP",
    { ip: "10.96.0.10", externalIPs: ["2001:db8::5", "203.0.113.5"] },
    ["203.0.113.5"],
    ["spec.externalIPs[0]=2001:db8::5: is IPv6, but the Service has no IPv6 cluster IP"],
  ],
  [
    "its own cluster IP",
    { externalIPs: ["10.96.0.10"] },
    [],
    ["spec.externalIPs[0]=10.96.0.10: is the Service's own cluster IP"],
  ],
  ["loopback", { externalIPs: ["127.0.0.1"] }, [], ["spec.externalIPs[0]=127.0.0.1: is a loopback address"]],
  ["unspecified", { externalIPs: ["0.0.0.0"] }, [], ["spec.externalIPs[0]=0.0.0.0: is the unspecified address"]],
  ["link-local", { externalIPs: ["169.254.0.1"] }, [], ["spec.externalIPs[0]=169.254.0.1: is a link-local address"]],
  ["multicast", { externalIPs: ["ff02::1"] }, [], ["spec.externalIPs[0]=ff02::1: is a multicast address"]],
  ["a number", { spec: { externalIPs: [7] } }, [], ["spec.externalIPs[0]=7: must be an IP address"]],
  ["no list", { spec: { externalIPs: "203.0.113.5" } }, [], ["spec.externalIPs=203.0.113.5: must be a list"]],
])("external IPs: %s", (_, said, externalIPs, faults) => {
  expect(exposed(said)).toMatchObject({ externalIPs, faults });
});

const ingress = (...entries: readonly unknown[]): ServiceSpec => ({
  type: "LoadBalancer",
  status: { loadBalancer: { ingress: entries } },
});

test.each<[string, ServiceSpec, readonly string[], readonly string[]]>([
  ["none yet", { type: "LoadBalancer" }, [], []],
  ["several", { loadBalancerIPs: ["198.51.100.5", "2001:db8::5"] }, ["198.51.100.5", "2001:db8::5"], []],
  ["ipMode VIP", ingress({ ip: "198.51.100.5", ipMode: "VIP" }), ["198.51.100.5"], []],
  ["ipMode Proxy is ignored", ingress({ ip: "198.51.100.5", ipMode: "Proxy" }), [], []],
  ["a host name alone", ingress({ hostname: "lb.example.com" }), [], []],
  ["an address beside a host name", ingress({ hostname: "lb", ip: "198.51.100.5" }), ["198.51.100.5"], []],
  ["another type", { ...ingress({ ip: "198.51.100.5" }), type: "NodePort" }, [], []],
  [
    "an unknown ipMode",
    ingress({ ip: "198.51.100.5", ipMode: "Tunnel" }, { ip: "198.51.100.6" }),
    ["198.51.100.6"],
    ["status.loadBalancer.ingress[0].ipMode=Tunnel: must be one of VIP, Proxy"],
  ],
  [
    "no IP",
    ingress({ ip: "198.51.100.500" }, { ip: "198.51.100.6" }),
    ["198.51.100.6"],
    ["status.loadBalancer.ingress[0].ip=198.51.100.500: must be an IP address"],
  ],
  [
    "the unspecified address",
    ingress({ ip: "::" }),
    [],
    ["status.loadBalancer.ingress[0].ip=::: is the unspecified address"],
  ],
  ["no object", ingress("198.51.100.5"), [], ["status.loadBalancer.ingress[0]=198.51.100.5: must be an object"]],
])("load balancer IPs: %s", (_, said, loadBalancerIPs, faults) => {
  expect(exposed(said)).toMatchObject({ loadBalancerIPs, faults });
});

const ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges";
const annotated = (text: string): ServiceSpec => ({ type: "LoadBalancer", annotations: { [ANNOTATION]: text } });
const ranged = (...sourceRanges: readonly string[]): ServiceSpec => ({ type: "LoadBalancer", sourceRanges });

test.each<[string, ServiceSpec, readonly string[] | undefined, readonly string[]]>([
  ["none", ranged(), undefined, []],
  ["an empty annotation", annotated(" "), undefined, []],
  ["another type", { ...ranged("192.0.2.0/24"), type: "NodePort" }, undefined, []],
  ["spaces around", ranged(" 192.0.2.0/24 "), ["192.0.2.0/24"], []],
  [
    "host bits and leading zeros",
    ranged("192.000.002.077/24", "2001:DB8::1/32"),
    ["192.0.2.0/24", "2001:db8::/32"],
    [],
  ],
  ["one network written in two ways", ranged("192.0.2.1/24", "192.0.2.2/24"), ["192.0.2.0/24"], []],
  ["everything", ranged("0.0.0.0/0"), ["0.0.0.0/0"], []],
  ["the annotation", annotated("192.0.2.0/24, 10.0.0.0/8"), ["192.0.2.0/24", "10.0.0.0/8"], []],
  [
    "the field over the annotation",
    { ...annotated("10.0.0.0/8"), sourceRanges: ["192.0.2.0/24"] },
    ["192.0.2.0/24"],
    [],
  ],
  ["an empty field beside the annotation", { ...annotated("10.0.0.0/8"), sourceRanges: [] }, ["10.0.0.0/8"], []],
  [
    "an invalid range does not affect the others",
    ranged("192.0.2.0/33", "10.0.0.0/8"),
    ["10.0.0.0/8"],
    ['spec.loadBalancerSourceRanges[0]=192.0.2.0/33: must be a network, for example "192.0.2.0/24"'],
  ],
  [
    "only invalid ranges close the load balancer",
    ranged("192.0.2.1"),
    [],
    ['spec.loadBalancerSourceRanges[0]=192.0.2.1: must be a network, for example "192.0.2.0/24"'],
  ],
  [
    "a mapped address whose prefix counts other bits",
    ranged("::ffff:192.0.2.1/24"),
    [],
    ['spec.loadBalancerSourceRanges[0]=::ffff:192.0.2.1/24: must be a network, for example "192.0.2.0/24"'],
  ],
  [
    "an invalid annotation closes the load balancer as well",
    annotated("all"),
    [],
    [`metadata.annotations["${ANNOTATION}"]=all: must be a network, for example "192.0.2.0/24"`],
  ],
  [
    "a text in place of the list closes the load balancer as well",
    { type: "LoadBalancer", spec: { loadBalancerSourceRanges: "10.0.0.0/8" } },
    [],
    ["spec.loadBalancerSourceRanges=10.0.0.0/8: must be a list"],
  ],
])("source ranges: %s", (_, said, ranges, faults) => {
  expect(exposed(said)).toMatchObject({ ranges, faults });
});

const NEEDS = "needs spec.type LoadBalancer and spec.externalTrafficPolicy Local";
test.each<[string, ServiceSpec, number, readonly string[]]>([
  ["none", { type: "LoadBalancer", external: "Local" }, 0, []],
  ["one", { type: "LoadBalancer", external: "Local", healthCheckNodePort: 31000 }, 31000, []],
  [
    "policy Cluster",
    { type: "LoadBalancer", healthCheckNodePort: 31000 },
    0,
    [`spec.healthCheckNodePort=31000: ${NEEDS}`],
  ],
  [
    "another type",
    { type: "NodePort", external: "Local", healthCheckNodePort: 31000 },
    0,
    [`spec.healthCheckNodePort=31000: ${NEEDS}`],
  ],
  [
    "a wrong number",
    { type: "LoadBalancer", external: "Local", healthCheckNodePort: -1 },
    0,
    ["spec.healthCheckNodePort=-1: must be a whole number from 0 to 65535"],
  ],
])("health check node port: %s", (_, said, healthCheckNodePort, faults) => {
  expect(exposed(said)).toMatchObject({ healthCheckNodePort, faults });
});

test.each<[string, ServiceSpec]>([
  ["ClusterIP", { type: "ClusterIP", externalIPs: ["203.0.113.5"] }],
  ["NodePort", { type: "NodePort" }],
  ["LoadBalancer", { type: "LoadBalancer" }],
])("the external traffic policy is read for type %s", (_, said) => {
  const result = decodeService(serviceObject("shop/web", { ...said, external: "Local" }));
  expect(result).toMatchObject({ kind: "accepted", value: { externalTrafficPolicy: "Local" }, problems: [] });
});

test("a load balancer without node ports is accepted as any other Service", () => {
  const result = decodeService(
    serviceObject("shop/web", {
      loadBalancerIPs: ["198.51.100.5"],
      ports: [{ port: 80 }],
      spec: { allocateLoadBalancerNodePorts: false },
    }),
  );
  expect(result).toMatchObject({ kind: "accepted", value: { ports: [{ nodePort: 0 }] }, problems: [] });
});
