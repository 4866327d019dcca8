import { expect, test } from "vitest";
import type { AddressChange } from "../../../src/kernel/link/monitor.ts";
import { AddressNews } from "../../../src/node/address-news.ts";
import { address } from "../../support/objects/desired.ts";

const NODE = "192.168.1.10";
const WANTED = "10.96.0.1";
const OTHERS = "10.99.0.1";

/** "+ eth0 192.168.1.11" or "- …". */
function change(text: string): AddressChange {
  const [sign, link = "", ip = ""] = text.split(" ");
  return { kind: sign === "+" ? "appeared" : "vanished", link, address: address(ip) };
}

function judge(news: AddressNews) {
  return news.take({
    dummy: "kube-ipvs0",
    ofNode: [address(NODE)],
    isWanted: (ip) => ip === WANTED,
    isOthers: (ip) => ip === OTHERS,
  });
}

test.each<[string, readonly string[], { readNode: boolean; look: boolean }]>([
  ["nothing", [], { readNode: false, look: false }],
  ["a new address of the node", ["+ eth0 192.168.1.11"], { readNode: true, look: false }],
  ["an address that the node has already, told again", [`+ eth0 ${NODE}`], { readNode: false, look: false }],
  ["an address that the node lost", [`- eth0 ${NODE}`], { readNode: true, look: false }],
  [
    "an address that came and went meanwhile",
    ["+ eth0 192.168.1.11", "- eth0 192.168.1.11"],
    { readNode: false, look: false },
  ],
  ["our own binding", [`+ kube-ipvs0 ${WANTED}`], { readNode: false, look: false }],
  ["our own unbinding", ["- kube-ipvs0 10.96.0.2"], { readNode: false, look: false }],
  ["a virtual address taken away", [`- kube-ipvs0 ${WANTED}`], { readNode: false, look: true }],
  [
    "a virtual address taken away and given back",
    [`- kube-ipvs0 ${WANTED}`, `+ kube-ipvs0 ${WANTED}`],
    { readNode: false, look: false },
  ],
  ["one that nobody wants", ["+ kube-ipvs0 10.96.0.2"], { readNode: false, look: true }],
  ["one that is others' to give", [`+ kube-ipvs0 ${OTHERS}`], { readNode: false, look: false }],
  ["a virtual address on another interface", [`+ eth0 ${WANTED}`], { readNode: true, look: false }],
])("news of %s lead to the readings that they need", (_, changes, verdict) => {
  const news = new AddressNews();
  for (const text of changes) news.note(change(text));
  expect(judge(news)).toEqual(verdict);
  expect(judge(news)).toEqual({ readNode: false, look: false });
});

test("after a gap in the news the node's addresses are read, once", () => {
  const news = new AddressNews();
  news.noteGap();
  expect(judge(news)).toEqual({ readNode: true, look: false });
  expect(judge(news)).toEqual({ readNode: false, look: false });
});
