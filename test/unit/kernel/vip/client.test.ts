import { expect, test } from "vitest";
import { LinkClient } from "../../../../src/kernel/link/client.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import { RouteClient } from "../../../../src/kernel/route/client.ts";
import { VipClient } from "../../../../src/kernel/vip/client.ts";
import type { BindingOperation } from "../../../../src/model/kernel/operation.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../../support/netlink/netlink-peer.ts";
import { address } from "../../../support/objects/desired.ts";

const { attribute, i32, nested, text, u16, u32 } = naive;
const INDEX = 7;
const NAMES: Readonly<Record<number, string>> = {
  16: "add link",
  20: "add address",
  21: "delete address",
  24: "add route",
  25: "delete route",
};

/** A kernel with kube-ipvs0 or without it, addresses on it, and routes of ours; addresses in `refused` cannot be added. */
function setUp(held: { link?: boolean; addresses?: string[]; routes?: string[]; refused?: string[] } = {}) {
  let hasLink = held.link ?? true;
  const log: string[] = [];
  const refused = (held.refused ?? []).map((ip) => String(naive.ipv4(ip)));
  const peer = new NetlinkPeer((requests) =>
    requests.flatMap((it): readonly naive.Bytes[] => {
      const name = NAMES[it.type];
      if (name !== undefined) log.push(it.type === 16 ? name : `${name} ${lastAddress(it)}`);
      if (it.type === 16) hasLink = true;
      if (it.type === 18) {
        if (!hasLink) return [naive.acknowledgement(it, 19)];
        const link = [...attribute(3, text("kube-ipvs0")), ...nested(18, attribute(1, text("dummy")))];
        const header = [0, 0, ...u16(0), ...i32(INDEX), ...u32(0), ...u32(0)];
        return [naive.message(16, 0, it.sequence, header, link), ...accepting([it])];
      }
      if (it.type === 22) return [...(held.addresses ?? []).map((ip) => addressPart(it, ip)), naive.done(it)];
      if (it.type === 26) {
        const routes = it.body[0] === 2 ? (held.routes ?? []) : [];
        return [...routes.map((ip) => routePart(it, ip)), naive.done(it)];
      }
      const isRefused = it.type === 20 && refused.includes(String(it.body.slice(12, 16)));
      return isRefused ? [naive.acknowledgement(it, 105)] : accepting([it]);
    }),
  );
  const counters = new NetlinkCounters();
  const socket = () => new NetlinkSocket({ protocol: 0, messageBytes: 4096, open: peer.open, counters });
  const link = new LinkClient({ links: socket(), addresses: socket() });
  const routeReads = () => peer.sent.flat().filter(({ type }) => type === 26).length;
  return { client: new VipClient(link, new RouteClient(socket())), log, routeReads };
}

/** The address in a request: the first attribute of both kinds of requests, behind a header of 8 or 12 bytes. */
function lastAddress({ type, body }: naive.NaiveMessage): string {
  const at = (type < 24 ? 8 : 12) + 4;
  return body.slice(at, at + 4).join(".");
}

function addressPart(it: naive.NaiveMessage, ip: string): naive.Bytes {
  return naive.message(20, 2, it.sequence, [2, 32, 0, 0, ...u32(INDEX)], attribute(2, naive.ipv4(ip)));
}

function routePart(it: naive.NaiveMessage, ip: string): naive.Bytes {
  const header = [2, 32, 0, 0, 255, 173, 254, 2, ...u32(0)];
  return naive.message(24, 2, it.sequence, header, attribute(1, naive.ipv4(ip)), attribute(4, u32(1)));
}

const change = (kind: "bind" | "unbind", binding: "address" | "route", ip: string): BindingOperation => ({
  kind: `${kind}-address`,
  binding,
  address: address(ip),
});

test("operations of both bindings keep their order", async () => {
  const { client, log } = setUp();
  const answers = await client.apply([
    change("bind", "route", "10.96.0.1"),
    change("bind", "route", "10.96.0.2"),
    change("unbind", "address", "10.96.0.1"),
    change("unbind", "route", "10.96.0.3"),
  ]);
  expect(answers.map(({ ok }) => ok)).toEqual([true, true, true, true]);
  expect(log).toEqual([
    "add route 10.96.0.1",
    "add route 10.96.0.2",
    "delete address 10.96.0.1",
    "delete route 10.96.0.3",
  ]);
});

test("VIPs are read with all of their bindings", async () => {
  const { client } = setUp({ addresses: ["10.96.0.1", "10.96.0.2"], routes: ["10.96.0.2", "10.96.0.3"] });
  expect(await client.bound()).toEqual(
    new Map([
      ["10.96.0.1", "address"],
      ["10.96.0.2", "both"],
      ["10.96.0.3", "route"],
    ]),
  );
});

test("for kube-proxy routes are replaced by addresses, each address first, and one without an address stays", async () => {
  const { client, log } = setUp({ link: false, routes: ["10.96.0.1", "10.96.0.2"], refused: ["10.96.0.2"] });
  expect(await client.replaceRoutes()).toEqual({
    changed: ["replaced 1 routes of VIPs by addresses"],
    warnings: ["Cannot replace the routes of 1 VIPs, for example 10.96.0.2"],
  });
  expect(log).toEqual(["add link", "add address 10.96.0.1", "add address 10.96.0.2", "delete route 10.96.0.1"]);
});

test("without routes nothing is replaced", async () => {
  const { client, log } = setUp({ link: false, addresses: ["10.96.0.1"] });
  expect(await client.replaceRoutes()).toEqual({ changed: [], warnings: [] });
  expect(log).toEqual([]);
});

test("routes are read again only if the last read found one, or one was added since", async () => {
  const without = setUp({ addresses: ["10.96.0.1"] });
  await without.client.bound();
  const [first, again] = [without.routeReads(), await without.client.bound()];
  expect(first).toBeGreaterThan(0);
  expect([without.routeReads(), again.get(address("10.96.0.1"))]).toEqual([first, "address"]);
  await without.client.apply([change("bind", "route", "10.96.0.2")]);
  await without.client.bound();
  expect(without.routeReads()).toBe(2 * first);
  const routed = setUp({ routes: ["10.96.0.3"] });
  for (let read = 0; read < 2; read++) expect((await routed.client.bound()).size).toBe(1);
  expect(routed.routeReads()).toBe(2 * first);
});
