import { expect, test } from "vitest";
import { HealthChecks, healthCheck } from "../../../../src/desired/service/health-checks.ts";
import type { HealthCheck } from "../../../../src/model/cluster/health-check.ts";
import { type Service, serviceName } from "../../../../src/model/cluster/service.ts";
import type { Scheduler } from "../../../../src/model/kernel/ipvs.ts";
import { NOTHING_DISCOVERED, nodeFacts } from "../../../../src/node/node-facts.ts";
import type { NodePortSelection } from "../../../../src/node/node-port-addresses.ts";
import { mergeSlices } from "../../../../src/services/endpoints.ts";
import { type SliceSpec, service, slice } from "../../../support/objects/builders.ts";
import { address, facts, network } from "../../../support/objects/desired.ts";

const HERE = "n1";

function balanced(ip: readonly string[] = ["10.96.0.10", "fd00::10"], port = 32_000): Service {
  return service("shop/web", { ip, type: "LoadBalancer", external: "Local", healthCheckNodePort: port });
}

/** The checks at each address, for slices named as in `sliceObject`. */
function counts(
  slices: Readonly<Record<string, SliceSpec>>,
  one = balanced(),
  nodePorts = ["192.168.1.10", "fd00:1::10"],
) {
  const endpoints = mergeSlices(Object.entries(slices).map(([name, said]) => slice(name, said)));
  const check = healthCheck(one, endpoints, facts({ node: HERE, nodePorts }));
  return check && Object.fromEntries(check.localEndpoints);
}

test("a Service without a health check node port has no check", () => {
  expect(counts({}, service("shop/web"))).toBeUndefined();
});

test("a health check node port listens at the addresses of the families of the Service", () => {
  expect(counts({})).toEqual({ "192.168.1.10": 0, "fd00:1::10": 0 });
  expect(counts({}, balanced(["fd00::10"]))).toEqual({ "fd00:1::10": 0 });
  expect(counts({}, balanced(), [])).toEqual({});
});

test("ready pods of this node count, each once for all ports and slices, and each family by itself", () => {
  const [one, two, far] = ["10.244.1.1", "10.244.1.2", "10.244.2.1"];
  expect(
    counts({
      "shop/web-1": {
        ports: [{ name: "a", port: 80 }],
        endpoints: [
          { ip: one, node: HERE },
          { ip: far, node: "n2" },
        ],
      },
      "shop/web-2": {
        ports: [{ name: "b", port: 81 }],
        endpoints: [
          { ip: one, node: HERE },
          { ip: two, node: HERE },
        ],
      },
      "shop/web-3": { endpoints: [{ ip: "fd00:244::1", node: HERE }] },
    }),
  ).toEqual({ "192.168.1.10": 2, "fd00:1::10": 1 });
});

test.each([
  ["ready", { ready: true }, 1],
  ["ready and terminating, as with publishNotReadyAddresses", { ready: true, terminating: true }, 1],
  ["serving and terminating", { ready: false, serving: true, terminating: true }, 0],
  ["serving, not ready", { ready: false, serving: true }, 0],
  ["not serving", { ready: false, serving: false }, 0],
])("a pod that is %s counts as %#", (_, conditions, count) => {
  const endpoints = [{ ip: "10.244.1.1", node: HERE, ...conditions }];
  expect(counts({ "shop/web-1": { endpoints } })).toMatchObject({ "192.168.1.10": count });
});

test.each<[string, NodePortSelection, readonly string[]]>([
  ["everything", undefined, ["0.0.0.0", "::"]],
  ["every IPv4 address", [network("0.0.0.0/0"), network("fd00:1::/64")], ["0.0.0.0", "fd00:1::10"]],
  ["networks", [network("192.168.0.0/16")], ["192.168.1.10", "::"]],
  ["primary", "primary", ["192.168.1.10"]],
])(
  "with --nodeport-addresses for %s a health check node port listens where NodePorts answer",
  (_, nodePortAddresses, expected) => {
    const options = {
      nodeName: HERE,
      nodeIPs: [address("192.168.1.10")],
      nodePortAddresses,
      bindAddress: address("0.0.0.0"),
      sharedVips: [],
      clusterCidrs: [],
      localMarkMask: 0,
      scheduler: "rr" as Scheduler, // any word will do
    };
    const addresses = ["127.0.0.1", "192.168.1.10", "10.0.0.1", "fd00:1::10"].map(address);
    const { healthCheckAddresses } = nodeFacts(options, ["IPv4", "IPv6"], { ...NOTHING_DISCOVERED, addresses });
    expect(healthCheckAddresses).toEqual(expected);
  },
);

test("all health checks are reported when one has changed, and none when none has", () => {
  const checks = new HealthChecks();
  const check = (port: number, count: number): HealthCheck => ({
    service: serviceName("shop", "web"),
    port,
    localEndpoints: new Map([[address("192.168.1.10"), count]]),
  });
  const other = { ...check(2, 0), service: serviceName("shop", "cart") };
  const put = (one: HealthCheck) => checks.replace(one.service, one);
  expect(checks.takeChanged()).toBeUndefined();
  put(check(1, 0));
  put(other);
  expect([...(checks.takeChanged()?.values() ?? [])]).toEqual([check(1, 0), other]);
  put(check(1, 0));
  checks.replace(serviceName("shop", "absent"), undefined);
  expect(checks.takeChanged()).toBeUndefined();
  for (const changed of [check(1, 1), check(3, 1)]) {
    put(changed);
    expect([...(checks.takeChanged()?.values() ?? [])]).toEqual([changed, other]);
  }
  checks.replace(other.service, undefined);
  expect([...(checks.takeChanged()?.values() ?? [])]).toEqual([check(3, 1)]);
});
