import { expect, test } from "vitest";
import type { AddressChange } from "../../../src/kernel/link/monitor.ts";
import type { VipBinding } from "../../../src/model/vip-binding.ts";
import { AddressChangeBuffer } from "../../../src/node/address-change-buffer.ts";
import { address } from "../../support/objects/desired.ts";

const NODE = "192.168.1.10";
const VIP = "10.96.0.1";
const OTHERS = "10.99.0.1";

/** "+ eth0 192.168.1.11" or "- …"; the link "route" for a route of the agent. */
function change(text: string): AddressChange {
  const [sign, link = "", ip = ""] = text.split(" ");
  const kind = sign === "+" ? "appeared" : "vanished";
  if (link === "route") return { kind, link: "lo", isRoute: true, address: address(ip) };
  return { kind, link, address: address(ip) };
}

function actionsFor(buffer: AddressChangeBuffer, binding: VipBinding = "address") {
  return buffer.take({
    dummy: "kube-ipvs0",
    ofNode: [address(NODE)],
    binding,
    isDesired: (ip) => ip === VIP,
    isOthers: (ip) => ip === OTHERS,
  });
}

test.each<[string, readonly string[], { readNode: boolean; resync: boolean }]>([
  ["nothing", [], { readNode: false, resync: false }],
  ["a new address of the node", ["+ eth0 192.168.1.11"], { readNode: true, resync: false }],
  ["an address that the node already has", [`+ eth0 ${NODE}`], { readNode: false, resync: false }],
  ["an address that the node lost", [`- eth0 ${NODE}`], { readNode: true, resync: false }],
  [
    "an address that was added and removed",
    ["+ eth0 192.168.1.11", "- eth0 192.168.1.11"],
    { readNode: false, resync: false },
  ],
  ["an address that we bound", [`+ kube-ipvs0 ${VIP}`], { readNode: false, resync: false }],
  ["an address that we unbound", ["- kube-ipvs0 10.96.0.2"], { readNode: false, resync: false }],
  ["a VIP that another program removed", [`- kube-ipvs0 ${VIP}`], { readNode: false, resync: true }],
  [
    "a VIP that another program removed and added again",
    [`- kube-ipvs0 ${VIP}`, `+ kube-ipvs0 ${VIP}`],
    { readNode: false, resync: false },
  ],
  ["an address on kube-ipvs0 that is not desired", ["+ kube-ipvs0 10.96.0.2"], { readNode: false, resync: true }],
  ["an address on kube-ipvs0 in an excluded network", [`+ kube-ipvs0 ${OTHERS}`], { readNode: false, resync: false }],
  ["a VIP on another interface", [`+ eth0 ${VIP}`], { readNode: true, resync: false }],
])("the change of %s causes the necessary reads", (_, changes, actions) => {
  const buffer = new AddressChangeBuffer();
  for (const text of changes) buffer.add(change(text));
  expect(actionsFor(buffer)).toEqual(actions);
  expect(actionsFor(buffer)).toEqual({ readNode: false, resync: false });
});

test("after lost messages the addresses of the node are read once", () => {
  const buffer = new AddressChangeBuffer();
  buffer.markIncomplete();
  expect(actionsFor(buffer)).toEqual({ readNode: true, resync: false });
  expect(actionsFor(buffer)).toEqual({ readNode: false, resync: false });
});

test.each<[string, VipBinding, readonly string[], boolean]>([
  ["a route that we added", "route", [`+ route ${VIP}`], false],
  ["a route that another program removed", "route", [`- route ${VIP}`], true],
  ["a route that another program removed and added again", "route", [`- route ${VIP}`, `+ route ${VIP}`], false],
  ["a route that we removed", "route", ["- route 10.96.0.2"], false],
  ["a route with our number that is not desired", "route", ["+ route 10.96.0.2"], true],
  ["a route in an excluded network", "route", [`+ route ${OTHERS}`], false],
  ["addresses that we replaced by routes", "route", [`+ route ${VIP}`, `- kube-ipvs0 ${VIP}`], false],
  ["an address that another program bound beside the route", "route", [`+ kube-ipvs0 ${VIP}`], true],
  ["routes that we replaced by addresses", "address", [`+ kube-ipvs0 ${VIP}`, `- route ${VIP}`], false],
  ["a route that another agent added beside the address", "address", [`+ route ${VIP}`], true],
])(
  "with VIPs bound in either way, the change of %s (%s) causes the necessary resync",
  (_, binding, changes, resync) => {
    const buffer = new AddressChangeBuffer();
    for (const text of changes) buffer.add(change(text));
    expect(actionsFor(buffer, binding)).toEqual({ readNode: false, resync });
  },
);
