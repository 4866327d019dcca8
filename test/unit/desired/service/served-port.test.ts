import { expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../../src/desired/desired-state-builder.ts";
import { portName, servedPort } from "../../../../src/desired/service/served-port.ts";
import { service, slice } from "../../../support/objects/builders.ts";
import { address, facts } from "../../../support/objects/desired.ts";

const dns = service("kube-system/dns", {
  ip: "10.96.0.10",
  externalIPs: ["192.168.1.10"],
  ports: [
    { name: "dns", protocol: "UDP", port: 53, nodePort: 30_053 },
    { name: "dns-tcp", protocol: "TCP", port: 53, nodePort: 30_054 },
    { name: "odd", protocol: "TCP", port: 30_054, nodePort: 30_055 },
  ],
});

const portAt = (protocol: "TCP" | "UDP", ip: string, port: number) =>
  servedPort(dns, { protocol, address: address(ip), port, mark: 0 });
const nameAt = (...at: Parameters<typeof portAt>) => {
  const port = portAt(...at);
  return port && portName(dns, port).port;
};

test.each([
  ["a cluster IP", "UDP", "10.96.0.10", 53, "dns"],
  ["the same port of another protocol", "TCP", "10.96.0.10", 53, "dns-tcp"],
  ["a NodePort", "TCP", "192.168.1.11", 30_054, "dns-tcp"],
  ["a port with the number of another NodePort", "TCP", "10.96.0.10", 30_054, "odd"],
  ["a NodePort at an address that is an external IP too", "TCP", "192.168.1.10", 30_055, "odd"],
] as const)("%s is served for its port", (_, protocol, ip, port, name) => {
  expect(nameAt(protocol, ip, port)).toBe(name);
});

test("a port that the Service does not have is none", () => {
  expect(portAt("UDP", "10.96.0.10", 54)).toBeUndefined();
});

test("the virtual servers of a Service, also those by mark, are owned by its ports", () => {
  const builder = new DesiredStateBuilder(facts());
  const spec = { ip: "10.96.0.1", external: "Local", ports: [{ name: "http", port: 80, nodePort: 30_080 }] } as const;
  builder.apply({ kind: "service-upserted", service: service("shop/web", spec) });
  builder.apply({ kind: "slice-upserted", slice: slice("shop/web-1", { endpoints: ["10.244.1.5"] }) });
  builder.advance(100);
  const owned = [...builder.ownedServers()];
  expect(owned.map(({ key }) => key.split("/")[0]).toSorted()).toEqual(["FWM", "TCP", "TCP"]);
  for (const { port } of owned) expect(port).toEqual({ namespace: "shop", service: "web", port: "http" });
});

test("a port without a name is named by its number", () => {
  const web = service("shop/web", { ip: "10.96.0.1" });
  const [port] = web.ports;
  expect(port && portName(web, port)).toEqual({ namespace: "shop", service: "web", port: "80" });
});
