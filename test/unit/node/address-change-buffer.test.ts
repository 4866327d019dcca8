import { expect, test } from "vitest";
import type { AddressChange } from "../../../src/kernel/link/monitor.ts";
import { AddressChangeBuffer } from "../../../src/node/address-change-buffer.ts";
import { address } from "../../support/objects/desired.ts";

const NODE = "192.168.1.10";
const VIP = "10.96.0.1";
const OTHERS = "10.99.0.1";

/** "+ eth0 192.168.1.11" or "- …". */
function change(text: string): AddressChange {
  const [sign, link = "", ip = ""] = text.split(" ");
  return { kind: sign === "+" ? "appeared" : "vanished", link, address: address(ip) };
}

function actionsFor(buffer: AddressChangeBuffer) {
  return buffer.take({
    dummy: "kube-ipvs0",
    ofNode: [address(NODE)],
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
