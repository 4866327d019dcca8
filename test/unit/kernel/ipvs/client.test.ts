import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IpvsClient } from "../../../../src/kernel/ipvs/client.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import { type IPAddress, parseAddress } from "../../../../src/model/address.ts";
import {
  type Scheduler,
  type VirtualServerKey,
  virtualServer,
  virtualServerKey,
} from "../../../../src/model/kernel/ipvs.ts";
import type { ServerState } from "../../../../src/model/kernel/server-state.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../../support/netlink/netlink-peer.ts";

const FAMILY = 31;
const { attribute, nested, u16, u32, be16, text } = naive;

const service = (address: string, ...rest: naive.Bytes[]): naive.Bytes => [
  ...[1, 1, 0, 0],
  ...nested(
    1,
    attribute(1, u16(2)),
    attribute(2, u16(6)),
    attribute(3, naive.ipv4(address)),
    attribute(4, be16(80)),
    attribute(6, text("rr")),
    attribute(7, u32(2), u32(0xffffffff)),
    attribute(8, u32(0)),
    attribute(9, u32(0xffffffff)),
    ...rest,
  ),
];
const dest = (address: string, weight: number): naive.Bytes => [
  ...[8, 1, 0, 0],
  ...nested(
    2,
    attribute(1, naive.ipv4(address)),
    attribute(2, be16(8080)),
    attribute(3, u32(0)),
    attribute(4, u32(weight)),
    attribute(7, u32(5)),
    attribute(8, u32(6)),
  ),
];
const STRANGE = [...[1, 1, 0, 0], ...nested(1, attribute(1, u16(2)), attribute(2, u16(50)))];

/** A kernel with these virtual servers, each with one real server whose weight shows how it was read. */
const ADDRESSES = ["10.0.0.1", "10.0.0.2"];
const FROM_DUMP = 77;
const FROM_TABLE = 1;

const hasBytes = (haystack: naive.Bytes, needle: naive.Bytes) => haystack.join().includes(needle.join());
const replies = (it: naive.NaiveMessage): readonly naive.Bytes[] => {
  const reply = (body: naive.Bytes) => naive.message(FAMILY, 2, it.sequence, body);
  if (it.type === 16) {
    const family = [...[1, 2, 0, 0], ...attribute(2, text("IPVS")), ...attribute(1, u16(FAMILY))];
    return [naive.message(16, 0, it.sequence, family), ...accepting([it])];
  }
  const isDump = (it.flags & 0x300) !== 0;
  const named = ADDRESSES.filter((address) => hasBytes(it.body, attribute(3, naive.ipv4(address))));
  if (it.body[0] === 8) return [...named.map(() => reply(dest("10.9.9.9", FROM_DUMP))), naive.done(it)];
  if (isDump) return [...ADDRESSES.map((address) => reply(service(address))), reply(STRANGE), naive.done(it)];
  if (it.body[0] === 1) return accepting([it]);
  if (named.length === 0) return [naive.acknowledgement(it, 3)];
  return [...named.map((address) => reply(service(address))), ...accepting([it])];
};

const at = (text: string): IPAddress => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
};
const key = (address: string): VirtualServerKey => virtualServerKey("TCP", at(address), 80);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kube-ipvs-"));
});
afterEach(() => rm(folder, { recursive: true }));

const setUp = async (table?: string) => {
  const peer = new NetlinkPeer((requests) => requests.flatMap(replies));
  const counters = new NetlinkCounters();
  const socket = () => new NetlinkSocket({ protocol: 16, messageBytes: 4096, open: peer.open, counters });
  const tablePath = join(folder, "ip_vs");
  if (table !== undefined) await writeFile(tablePath, `IP\nProt\n  ->\n${table}`);
  const sockets = { commands: socket(), dumps: socket(), lists: socket(), longLists: socket(), statistics: socket() };
  const client = new IpvsClient({ ...sockets, tablePath });
  return { client, peer };
};
async function all(client: IpvsClient) {
  const servers = new Map<VirtualServerKey, ServerState>();
  let unnamedServers = 0;
  for await (const part of client.all()) {
    for (const [name, state] of part.servers) servers.set(name, state);
    unnamedServers += part.unnamedServers;
  }
  return { servers, unnamedServers };
}
const hex = (address: string) => Buffer.from(naive.ipv4(address)).toString("hex").toUpperCase();
const row = (address: string) =>
  `TCP  ${hex(address)}:0050 rr  \n  -> 0A090909:1F90      Masq    1      5          6         \n`;
const weights = (servers: ReadonlyMap<VirtualServerKey, { readonly reals: Iterable<{ weight: number }> }>) =>
  [...servers].map(([name, { reals }]) => [name, ...Array.from(reals, ({ weight }) => weight)]);

const dumpsOfReals = (peer: NetlinkPeer) => peer.sent.flat().filter(({ body }) => body[0] === 8).length;

test("virtual servers are read by a dump, and their real servers from the table", async () => {
  const { client, peer } = await setUp(row("10.0.0.1") + row("10.0.0.2"));
  const { servers, unnamedServers } = await all(client);
  expect(weights(servers)).toEqual([
    ["TCP/10.0.0.1:80", FROM_TABLE],
    ["TCP/10.0.0.2:80", FROM_TABLE],
  ]);
  expect(unnamedServers).toBe(1);
  expect(dumpsOfReals(peer)).toBe(0);
});

test("the real servers of a virtual server that the table omits are dumped", async () => {
  const { client, peer } = await setUp(row("10.0.0.2"));
  expect(weights((await all(client)).servers)).toEqual([
    ["TCP/10.0.0.2:80", FROM_TABLE],
    ["TCP/10.0.0.1:80", FROM_DUMP],
  ]);
  expect(dumpsOfReals(peer)).toBe(1);
});

test("a virtual server that is deleted between the dump and the table is left out", async () => {
  const { client, peer } = await setUp(row("10.0.0.2"));
  peer.peer = (requests) =>
    requests.flatMap((it) => {
      const isGet = it.body[0] === 4 && (it.flags & 0x300) === 0;
      return isGet ? [naive.acknowledgement(it, 3), ...accepting([it])] : replies(it);
    });
  expect([...(await all(client)).servers.keys()]).toEqual(["TCP/10.0.0.2:80"]);
});

test.each<[string, string | undefined]>([
  ["breaks off", `${row("10.0.0.1")}TCP  0A0`],
  ["speaks strangely", `${row("10.0.0.1")}QUIC x\n${row("10.0.0.2")}`],
  ["is not there", undefined],
])(
  "if the table of /proc %s all real servers are dumped, and virtual servers without a key are counted",
  async (_, table) => {
    const { client } = await setUp(table);
    const { servers, unnamedServers } = await all(client);
    expect(weights(servers).sort()).toEqual([
      ["TCP/10.0.0.1:80", FROM_DUMP],
      ["TCP/10.0.0.2:80", FROM_DUMP],
    ]);
    expect(unnamedServers).toBe(1);
  },
);

test("a virtual server that the dump missed and the table has is found", async () => {
  const { client, peer } = await setUp(row("10.0.0.1") + row("10.0.0.2"));
  peer.peer = (requests) =>
    requests.flatMap((it) => {
      const isDump = it.body[0] === 4 && (it.flags & 0x300) !== 0;
      return isDump ? [naive.message(FAMILY, 2, it.sequence, service("10.0.0.2")), naive.done(it)] : replies(it);
    });
  expect(weights((await all(client)).servers)).toEqual([
    ["TCP/10.0.0.1:80", FROM_TABLE],
    ["TCP/10.0.0.2:80", FROM_TABLE],
  ]);
});

test("a virtual server that is only in the table is ignored", async () => {
  const { client } = await setUp(row("10.0.0.1") + row("10.0.0.9") + row("10.0.0.2"));
  expect([...(await all(client)).servers.keys()]).toEqual(["TCP/10.0.0.1:80", "TCP/10.0.0.2:80"]);
});

test("existing virtual servers are read by name, with their connections", async () => {
  const { client } = await setUp();
  const keys = new Set([key("10.0.0.2"), key("10.0.0.8")]);
  expect(weights(await client.some(keys))).toEqual([["TCP/10.0.0.2:80", FROM_DUMP]]);
  expect([...(await client.connections(keys))]).toEqual([
    ["TCP/10.0.0.2:80", new Map([["10.9.9.9:8080", { active: 5, inactive: 6 }]])],
  ]);
});

test.each<[string, string | undefined, [number, number]]>([
  ["has", row("10.0.0.1") + row("10.0.0.2"), [FROM_TABLE, FROM_TABLE]],
  ["lacks in part", row("10.0.0.2"), [FROM_DUMP, FROM_TABLE]],
  ["tells in a form unknown from some line on", `${row("10.0.0.1")}QUIC x\n${row("10.0.0.2")}`, [FROM_DUMP, FROM_DUMP]],
])(
  "the real servers of many named virtual servers, which the table %s, are read",
  async (_, table, [first, second]) => {
    const { client } = await setUp(row("10.0.0.1") + row("10.0.0.2"));
    await all(client);
    await writeFile(join(folder, "ip_vs"), `IP\nProt\n  ->\n${table}`);
    expect(weights(await client.some(new Set(ADDRESSES.map(key))))).toEqual([
      ["TCP/10.0.0.1:80", first],
      ["TCP/10.0.0.2:80", second],
    ]);
  },
);

test("if the number of virtual servers is known, many named ones are read from the table, and no others", async () => {
  const { client, peer } = await setUp(row("10.0.0.1") + row("10.0.0.2"));
  await all(client);
  const before = dumpsOfReals(peer);
  const keys = new Set([key("10.0.0.2")]);
  expect([...(await client.connections(keys)).keys()]).toEqual(["TCP/10.0.0.2:80"]);
  expect(weights(await client.some(keys))).toEqual([["TCP/10.0.0.2:80", FROM_TABLE]]);
  expect(dumpsOfReals(peer)).toBe(before);
});

test("a virtual server among many that were added later is not read from the table", async () => {
  const { client } = await setUp(row("10.0.0.1"));
  await all(client);
  const options = { scheduler: "rr" as Scheduler };
  const added = Array.from({ length: 20 }, (_, index) => virtualServer("TCP", at(`10.1.0.${index}`), 80, options));
  await client.apply(added.map((server) => ({ kind: "add-virtual-server", server })));
  expect(weights(await client.some(new Set([key("10.0.0.1")])))).toEqual([["TCP/10.0.0.1:80", FROM_DUMP]]);
});

test("without the module ip_vs the error names the remedy", async () => {
  const { client, peer } = await setUp();
  peer.peer = (requests) => requests.map((it) => naive.acknowledgement(it, 2));
  await expect(client.probe()).rejects.toThrow(/modprobe ip_vs/);
});

describe("after an addition that failed with ENOENT the kernel", () => {
  const one = virtualServer("TCP", at("10.1.0.1"), 80, { scheduler: "wlc" as Scheduler });
  /** The module has this number now, or is not loaded; the kernel lacks the scheduler. */
  const kernelWith = (number: number | undefined) => (requests: readonly naive.NaiveMessage[]) =>
    requests.flatMap((it) => {
      if (it.type !== 16 || number === undefined) return [naive.acknowledgement(it, 2)];
      const family = [...[1, 2, 0, 0], ...attribute(2, text("IPVS")), ...attribute(1, u16(number))];
      return [naive.message(16, 0, it.sequence, family), ...accepting([it])];
    });

  test("lacks the scheduler if the module is still loaded", async () => {
    const { client, peer } = await setUp();
    await client.probe();
    peer.peer = kernelWith(FAMILY);
    const [answer] = await client.apply([{ kind: "add-virtual-server", server: one }]);
    expect(answer).toMatchObject({ ok: false, errno: "ENOENT" });
  });

  test.each<[string, number | undefined, RegExp]>([
    ["is not loaded any more", undefined, /modprobe ip_vs/],
    ["was unloaded and loaded again", FAMILY + 1, /loaded again/],
  ])("cannot be asked where the module %s, and is found again when it is there", async (_, number, error) => {
    const { client, peer } = await setUp();
    await client.probe();
    peer.peer = kernelWith(number);
    const operation = { kind: "add-virtual-server", server: one } as const;
    await expect(client.apply([operation])).rejects.toThrow(error);
    peer.peer = (requests) => requests.flatMap(replies);
    expect(await client.probe()).toBe(FAMILY);
    expect(await client.apply([operation])).toEqual([{ ok: true, replies: [] }]);
  });
});

test("a virtual server that cannot be read rejects and is not left out", async () => {
  const { client, peer } = await setUp();
  await client.probe();
  peer.peer = (requests) =>
    requests.flatMap((it) =>
      it.type === 16 ? replies(it) : [naive.message(FAMILY, 2, it.sequence, [1, 1, 0, 0]), naive.done(it)],
    );
  await expect(all(client)).rejects.toMatchObject({ code: "EBADMSG" });
});
