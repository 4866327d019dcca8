import { describe, expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../../src/desired/desired-state-builder.ts";
import { findingLine } from "../../../../src/explain/finding.ts";
import { explainService } from "../../../../src/explain/service/explain-service.ts";
import { explanationText } from "../../../../src/explain/service/explanation-text.ts";
import type { KernelView } from "../../../../src/explain/service/service-view.ts";
import { viewOf } from "../../../../src/explain/service/view-of.ts";
import { type Endpoint, type PortKey, serviceName } from "../../../../src/model/cluster/service.ts";
import type { VirtualServerKey } from "../../../../src/model/kernel/ipvs.ts";
import type { RealTraffic, ServerTraffic } from "../../../../src/model/kernel/traffic.ts";
import { type ServiceSpec, type SliceSpec, service, slice } from "../../../support/objects/builders.ts";
import { type FactsSpec, facts } from "../../../support/objects/desired.ts";

type Objects = Readonly<Record<string, { readonly service: ServiceSpec; readonly slices?: readonly SliceSpec[] }>>;

const WEB = serviceName("shop", "web");

function stateOf(objects: Objects, node: FactsSpec = {}): DesiredStateBuilder {
  const state = new DesiredStateBuilder(facts(node));
  for (const [name, { service: said, slices = [] }] of Object.entries(objects)) {
    slices.forEach((spec, index) => {
      state.apply({ kind: "slice-upserted", slice: slice(`${name}-${index}`, spec) });
    });
    state.apply({ kind: "service-upserted", service: service(name, said) });
  }
  state.advance(Number.POSITIVE_INFINITY);
  return state;
}

const view = (state: DesiredStateBuilder) =>
  viewOf(state, WEB, {
    sourceProblems: [],
    failures: [],
    clients: { pods: { IPv4: "-s 10.244.0.0/16", IPv6: undefined }, masqueradeAll: false },
  });

/** The kernel as desired, each real server with this traffic. */
function kernelOf(state: DesiredStateBuilder, traffic: Partial<RealTraffic> = {}): KernelView {
  const idle = { active: 0, inactive: 0, connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };
  const servers = Array.from(state.desired.servers(), ({ server, reals }): [VirtualServerKey, ServerTraffic] => [
    server.key,
    { server, reals: Array.from(reals, (real) => ({ ...idle, real, ...traffic })) },
  ]);
  return { servers: new Map(servers), binding: "address", hasAddress: () => true, hasEntry: () => true };
}

const findings = (state: DesiredStateBuilder, kernel?: KernelView, port?: string) =>
  explainService(view(state), kernel, port).findings.map(findingLine);

const HERE = { ip: "10.244.1.5", node: "n1" };
const THERE = { ip: "10.244.2.5", node: "n2" };

describe("the cause", () => {
  test.each<[string, Objects, string]>([
    [
      "no slice",
      { "shop/web": { service: {} } },
      "error: port 80/TCP has no endpoints, because no EndpointSlice of the Service lists an endpoint: connections are refused. Compare spec.selector of the Service with the labels of the pods: kubectl -n shop get pods --show-labels",
    ],
    [
      "a port of another name",
      { "shop/web": { service: {}, slices: [{ ports: [{ name: "http", port: 8080 }], endpoints: [HERE] }] } },
      'error: port 80/TCP has no endpoints, because no EndpointSlice has an unnamed port (TCP), they have port "http" (TCP): connections are refused. Compare the name and the targetPort of the port with the ports of the pods',
    ],
    [
      "none ready",
      { "shop/web": { service: {}, slices: [{ endpoints: [{ ...HERE, ready: false }] }] } },
      "error: port 80/TCP has 1 endpoint and none is ready: connections are refused. The pods still start, or their readiness probes fail: kubectl -n shop describe pods names the reason",
    ],
    [
      "internal policy Local",
      { "shop/web": { service: { internal: "Local" }, slices: [{ endpoints: [THERE] }] } },
      "error: internalTrafficPolicy is Local and no endpoint of port 80/TCP is on this node: all connections from this node to the ClusterIP are dropped. Run a pod of the Service on this node, or set internalTrafficPolicy to Cluster",
    ],
    [
      "external policy Local",
      {
        "shop/web": {
          service: { external: "Local", ports: [{ port: 80, nodePort: 30_080 }] },
          slices: [{ endpoints: [THERE] }],
        },
      },
      "error: externalTrafficPolicy is Local and no endpoint of port 80/TCP is on this node: connections from outside that arrive at this node are dropped. If no load balancer sends clients to this node, nothing is wrong. Otherwise make it use the health check node port, run a pod of the Service on this node, or set externalTrafficPolicy to Cluster",
    ],
    [
      "an external IP that a Service of another name has",
      {
        "shop/api": { service: { ip: "10.96.0.11", externalIPs: ["198.51.100.7"] }, slices: [{ endpoints: [HERE] }] },
        "shop/web": { service: { externalIPs: ["198.51.100.7"] }, slices: [{ endpoints: [HERE] }] },
      },
      'error: Service shop/web: "TCP/198.51.100.7:80" is already served by Service shop/api (precedence: frontend type, then name): this setting has no effect on this node. Correct it; the rest of the object is served',
    ],
    [
      "no such Service",
      {},
      'error: this node does not proxy a Service "shop/web": it does not exist, is headless, of type ExternalName, or has the label service.kubernetes.io/service-proxy-name. Check the namespace and the name',
    ],
  ])("%s", (_title, objects, expected) => {
    expect(findings(stateOf(objects))).toEqual([expected]);
  });

  test("a port that the Service does not have is named with those that it has", () => {
    const state = stateOf({ "shop/web": { service: { ports: [{ name: "http", port: 80 }] } } });
    expect(findings(state, undefined, "443")).toEqual([
      'error: Service "shop/web" has no port "443". Its ports are 80 ("http/TCP")',
    ]);
  });
});

test("the work for an explanation grows with the number of endpoints, not with its square", () => {
  const readsWith = (count: number): number => {
    const endpoints = Array.from({ length: count }, (_, index) => ({ ip: `10.244.${index >> 8}.${index & 255}` }));
    const known = view(stateOf({ "shop/web": { service: {}, slices: [{ endpoints }] } }));
    let reads = 0;
    const read = (endpoint: Endpoint, key: PropertyKey) => {
      reads += 1;
      return Reflect.get(endpoint, key);
    };
    const kept = new Map<PortKey, readonly Endpoint[]>();
    const get = (port: PortKey): readonly Endpoint[] => {
      const found = kept.get(port) ?? known.endpoints.get(port).map((endpoint) => new Proxy(endpoint, { get: read }));
      kept.set(port, found);
      return found;
    };
    const listed = (port: PortKey) => known.endpoints.listed(port);
    const pods = () => known.endpoints.pods();
    const all = () => known.endpoints[Symbol.iterator]();
    explainService({ ...known, endpoints: { get, listed, pods, [Symbol.iterator]: all } }, undefined, undefined);
    return reads;
  };
  expect(readsWith(400)).toBeLessThan(2.2 * readsWith(200));
});

describe("the kernel", () => {
  const state = stateOf({ "shop/web": { service: {}, slices: [{ endpoints: [HERE, THERE] }] } });

  test("as desired and silent is no finding", () => {
    expect(findings(state, kernelOf(state))).toEqual([]);
    expect(explanationText(explainService(view(state), kernelOf(state), undefined))).toContain(
      "ok: nothing is wrong on this node",
    );
  });

  test("a virtual server, an address and members that are missing are named", () => {
    const kernel: KernelView = {
      servers: new Map(),
      binding: "address",
      hasAddress: () => false,
      hasEntry: () => false,
    };
    expect(findings(state, kernel)).toEqual([
      expect.stringContaining("error: virtual server TCP/10.96.0.10:80 is missing in the kernel"),
      expect.stringContaining(
        "error: address 10.96.0.10 is missing on the interface kube-ipvs0, or the interface is missing: packets to it leave this node",
      ),
      expect.stringContaining('error: set members are missing in the kernel: "KUBE-CLUSTER-IP 10.96.0.10,tcp:80"'),
    ]);
  });

  test("a route that is missing is named with the command that shows the routes", () => {
    const kernel: KernelView = { ...kernelOf(state), binding: "route", hasAddress: () => false };
    expect(findings(state, kernel)).toEqual([
      expect.stringContaining(
        "error: the local route of address 10.96.0.10 is missing (ip route show table local proto 173): packets to it leave this node",
      ),
    ]);
  });

  test.each([
    ["packets and no answer", { packetsIn: 9 }, "endpoint 10.244.1.5:8080 got 9 packets and never answered"],
    [
      "answers that are all as long as a reset",
      { packetsIn: 3, packetsOut: 3, bytesOut: 120 },
      "endpoint 10.244.1.5:8080 probably refuses connections: its 3 packets to clients were all as long as a TCP reset",
    ],
  ])("%s name the endpoint", (_title, traffic, sentence) => {
    expect(findings(state, kernelOf(state, traffic))[0]).toContain(`warning: ${sentence}`);
  });

  test("answers with data are no finding", () => {
    expect(findings(state, kernelOf(state, { packetsIn: 3, packetsOut: 3, bytesOut: 180 }))).toEqual([]);
  });
});

test.each<[string, ServiceSpec, SliceSpec["endpoints"], FactsSpec, string]>([
  ["ready", {}, [HERE], {}, "ready on n1: used"],
  [
    "not ready beside a ready one",
    {},
    [HERE, { ...THERE, ready: false }],
    {},
    "not ready on n2: not used: it is not ready",
  ],
  [
    "terminating beside a ready one",
    {},
    [HERE, { ...THERE, ready: false, serving: true, terminating: true }],
    {},
    "terminating on n2: not used: it is terminating, and other endpoints are ready",
  ],
  [
    "terminating and the last",
    {},
    [{ ...THERE, ready: false, serving: true, terminating: true }],
    {},
    "terminating on n2: used: it is terminating: it is used because no endpoint is ready",
  ],
  [
    "hints of another zone",
    {},
    [
      { ...HERE, zones: ["a"] },
      { ...THERE, zones: ["b"] },
    ],
    {},
    'ready on n2: not used: its hints are for zone "b", and this node is in zone "a"',
  ],
  [
    "the internal policy Local",
    { internal: "Local" },
    [HERE, THERE],
    {},
    'ready on n2: not used: internalTrafficPolicy is Local and it is on node "n2": the ClusterIP does not use it',
  ],
  [
    "the external policy Local",
    { external: "Local", ports: [{ port: 80, nodePort: 30_080 }] },
    [HERE, THERE],
    {},
    'ready on n2: used by some clients: externalTrafficPolicy is Local and it is on node "n2": clients outside do not reach it',
  ],
  ["a family that the Service lacks", {}, ["fd00:244::5"], {}, "ready: not used: the Service has no ClusterIP of IPv6"],
])("an endpoint: %s", (_title, said, endpoints, node, line) => {
  const state = stateOf({ "shop/web": { service: said, slices: [{ endpoints: endpoints ?? [] }] } }, node);
  expect(explanationText(explainService(view(state), undefined, undefined))).toContain(`  ${line}`);
});

test("a frontend shows its clients, and who is dropped by which chain", () => {
  const state = stateOf({
    "shop/web": {
      service: { loadBalancerIPs: ["203.0.113.9"], sourceRanges: ["192.0.2.0/24"], affinity: 600 },
      slices: [{ endpoints: [HERE] }],
    },
  });
  const text = explanationText(explainService(view(state), kernelOf(state), undefined));
  expect(text).toContain("pods (-s 10.244.0.0/16) keep their address; all other clients are masqueraded");
  expect(text).toContain(
    "only clients in 192.0.2.0/24 may use it (spec.loadBalancerSourceRanges): all others are dropped by chain KUBE-SOURCE-RANGES-FIREWALL",
  );
  expect(text).toContain(
    "virtual server TCP/203.0.113.9:80: scheduler rr, client affinity 600 s, of Service shop/web, as desired",
  );
});
