import { expect, test } from "vitest";
import type { AddressChange } from "../../../src/kernel/link/monitor.ts";
import { AddressChangeBuffer } from "../../../src/node/address-change-buffer.ts";
import { address } from "../../support/objects/desired.ts";

const NODE = "192.168.1.10";
const WANTED = "10.96.0.1";
const OTHERS = "10.99.0.1";

/** "+ eth0 192.168.1.11" or "- …". */
function change(text: string): AddressChange {
  const [sign, link = "", ip = ""] = text.split(" ");
  return { kind: sign === "+" ? "appeared" : "vanished", link, address: address(ip) };
}

function actionsFor(news: AddressChangeBuffer) {
  return news.take({
    dummy: "kube-ipvs0",
    ofNode: [address(NODE)],
    isWanted: (ip) => ip === WANTED,
    isOthers: (ip) => ip === OTHERS,
  });
}

test.each<[string, readonly string[], { readNode: boolean; resync: boolean }]>([
  ["nothing", [], { readNode: false, resync: false }],
  ["a new address of the node", ["+ eth0 192.168.1.11"], { readNode: true, resync: false }],
  ["an address that the node has already, told again", [`+ eth0 ${NODE}`], { readNode: false, resync: false }],
  ["an address that the node lost", [`- eth0 ${NODE}`], { readNode: true, resync: false }],
  [
    "an address that came and went meanwhile",
    ["+ eth0 192.168.1.11", "- eth0 192.168.1.11"],
    { readNode: false, resync: false },
  ],
  ["our own binding", [`+ kube-ipvs0 ${WANTED}`], { readNode: false, resync: false }],
  ["our own unbinding", ["- kube-ipvs0 10.96.0.2"], { readNode: false, resync: false }],
  ["a virtual address taken away", [`- kube-ipvs0 ${WANTED}`], { readNode: false, resync: true }],
  [
    "a virtual address taken away and given back",
    [`- kube-ipvs0 ${WANTED}`, `+ kube-ipvs0 ${WANTED}`],
    { readNode: false, resync: false },
  ],
  ["one that nobody wants", ["+ kube-ipvs0 10.96.0.2"], { readNode: false, resync: true }],
  ["one that is others' to give", [`+ kube-ipvs0 ${OTHERS}`], { readNode: false, resync: false }],
  ["a virtual address on another interface", [`+ eth0 ${WANTED}`], { readNode: true, resync: false }],
])("news of %s lead to the readings that they need", (_, changes, verdict) => {
  const news = new AddressChangeBuffer();
  for (const text of changes) news.add(change(text));
  expect(actionsFor(news)).toEqual(verdict);
  expect(actionsFor(news)).toEqual({ readNode: false, resync: false });
});

test("after a gap in the news the node's addresses are read, once", () => {
  const news = new AddressChangeBuffer();
  news.markIncomplete();
  expect(actionsFor(news)).toEqual({ readNode: true, resync: false });
  expect(actionsFor(news)).toEqual({ readNode: false, resync: false });
});
