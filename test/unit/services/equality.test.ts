import { expect, test } from "vitest";
import {
  type ClusterNode,
  type EndpointSlice,
  NO_OVERRIDES,
  portKey,
  type Service,
  type ServiceCIDR,
  type ServiceOverrides,
  type ServicePort,
  serviceName,
  sliceName,
} from "../../../src/model/cluster/service.ts";
import type { Scheduler } from "../../../src/model/kernel/ipvs.ts";
import { sameNode, sameService, sameServiceCIDR, sameSlice } from "../../../src/services/equality.ts";
import { type Changed, countingFields } from "../../support/hostile/counting-fields.ts";
import { clusterNode, service, serviceCIDR, slice } from "../../support/objects/builders.ts";
import { address, network } from "../../support/objects/desired.ts";

const WEB = service("shop/web");

test("a difference in any field of a Service is a difference", () => {
  const changed: Changed<Service> = {
    name: serviceName("shop", "other"),
    clusterIPs: [address("10.96.0.11")],
    ports: [{ key: portKey("", "TCP"), protocol: "TCP", port: 81, nodePort: 0 }],
    affinitySeconds: 1,
    internalTrafficPolicy: "Local",
    externalTrafficPolicy: "Local",
    externalIPs: [address("192.0.2.1")],
    loadBalancerIPs: [address("192.0.2.2")],
    // No client instead of all clients.
    sourceRanges: [],
    healthCheckNodePort: 30_000,
    clusterDNS: true,
    overrides: { ...NO_OVERRIDES, onePacket: true },
  };
  expect(sameService(WEB, service("shop/web"))).toBe(true);
  expect(countingFields(sameService, WEB, changed)).toEqual(Object.keys(changed));
});

test("a difference in any field of a port of a Service is a difference", () => {
  const port: ServicePort = { key: portKey("", "TCP"), protocol: "TCP", port: 80, nodePort: 0 };
  const changed: Changed<ServicePort> = { key: portKey("a", "TCP"), protocol: "UDP", port: 81, nodePort: 30_000 };
  const same = (a: ServicePort, b: ServicePort) => sameService({ ...WEB, ports: [a] }, { ...WEB, ports: [b] });
  expect(same(port, { ...port })).toBe(true);
  expect(countingFields(same, port, changed)).toEqual(Object.keys(changed));
});

test("a difference in any override of a Service is a difference", () => {
  const overrides: ServiceOverrides = {
    scheduling: { scheduler: "mh" as Scheduler, flags: ["mh-port"] },
    onePacket: false,
    drainTimeoutMs: undefined,
  };
  const changed: Changed<ServiceOverrides> = {
    scheduling: { scheduler: "mh" as Scheduler, flags: [] },
    onePacket: true,
    drainTimeoutMs: 0,
  };
  const same = (a: ServiceOverrides, b: ServiceOverrides) =>
    sameService({ ...WEB, overrides: a }, { ...WEB, overrides: b });
  expect(same(overrides, structuredClone(overrides))).toBe(true);
  expect(countingFields(same, overrides, changed)).toEqual(Object.keys(changed));
  expect(same(overrides, { ...overrides, scheduling: undefined })).toBe(false);
});

test("a difference in any field of a slice is a difference, except the time of its change", () => {
  const base = slice("shop/web-1", { service: "web", endpoints: ["10.244.1.5"] });
  const changed: Changed<EndpointSlice> = {
    name: sliceName("shop", "web-2"),
    service: serviceName("shop", "other"),
    family: "IPv6",
    endpoints: slice("shop/web-1", { service: "web", endpoints: ["10.244.1.6"] }).endpoints,
    changedAtUnixMs: 1,
  };
  expect(countingFields(sameSlice, base, changed)).toEqual(["name", "service", "family", "endpoints"]);
});

test("a difference in any field of a Node is a difference", () => {
  const base = clusterNode("node-a");
  const changed: Changed<ClusterNode> = {
    name: "node-b",
    zone: "z9",
    addresses: [address("192.0.2.1")],
    podCIDRs: [network("10.9.0.0/24")],
    leaving: true,
  };
  expect(sameNode(base, clusterNode("node-a"))).toBe(true);
  expect(countingFields(sameNode, base, changed)).toEqual(Object.keys(changed));
});

test("a difference in any field of a ServiceCIDR is a difference", () => {
  const base = serviceCIDR("kubernetes", ["10.96.0.0/16"]);
  const changed: Changed<ServiceCIDR> = { name: "other", networks: [network("10.97.0.0/16")] };
  expect(sameServiceCIDR(base, serviceCIDR("kubernetes", ["10.96.0.0/16"]))).toBe(true);
  expect(countingFields(sameServiceCIDR, base, changed)).toEqual(Object.keys(changed));
});
