import { beforeEach, describe, expect, test } from "vitest";
import type { NodeSetup } from "../../../src/kernel/kernel.ts";
import { NetlinkKernel } from "../../../src/kernel/netlink-kernel.ts";
import { type IPAddress, parseAddress } from "../../../src/model/address.ts";
import { addressEntry, ipset } from "../../../src/model/kernel/ipset.ts";
import { type Scheduler, virtualServer } from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import * as naive from "../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../support/netlink/netlink-peer.ts";
import { realServer } from "../../support/objects/desired.ts";
import { FakeNode } from "./fake-node.ts";
import { CHAINS, forwardSetup, JUMP } from "./forward-setup.ts";

const { attribute, i32, nested, text, u16, u32 } = naive;

const ip = (value: string): IPAddress => {
  const address = parseAddress(value);
  if (address === undefined) throw new Error(value);
  return address;
};

const server = (address: string) => virtualServer("TCP", ip(address), 80, { scheduler: "rr" as Scheduler });

const IPVS = 31;
const IPSET_PROTOCOL = 0x601;
/** The first answers of a kernel: number of the family, index of the interface, version of ipset. */
const introduction = (it: naive.NaiveMessage, protocol: number): naive.Bytes => {
  if (protocol === 16) return naive.message(16, 0, it.sequence, [1, 2, 0, 0], attribute(1, u16(IPVS)));
  if (protocol === 12) {
    return naive.message(IPSET_PROTOCOL, 0, it.sequence, [0, 0, 0, 0], attribute(1, [7]), attribute(10, [6]));
  }
  const header = [0, 0, ...u16(0), ...i32(7), ...u32(0), ...u32(0)];
  const dummy = nested(18, attribute(1, text("dummy")));
  return naive.message(16, 0, it.sequence, header, attribute(3, text("kube-ipvs0")), dummy);
};

const asksFor = (it: naive.NaiveMessage, protocol: number) =>
  (protocol === 16 && it.type === 16) ||
  (protocol === 0 && it.type === 18) ||
  (protocol === 12 && it.type === IPSET_PROTOCOL);

test("operations are sent in order, adjacent ones of one protocol together, with one outcome each", async () => {
  const log: string[] = [];
  const peer = new NetlinkPeer((requests, protocol) =>
    requests.flatMap((it) => {
      if (asksFor(it, protocol)) return [introduction(it, protocol), ...accepting([it])];
      if (it === requests[0]) log.push(`protocol ${protocol} x ${requests.length}`);
      // DEL_SERVICE of a missing virtual server.
      return protocol === 16 && it.body[0] === 3 ? [naive.acknowledgement(it, 3)] : accepting([it]);
    }),
  );
  const kernel = new NetlinkKernel({ chains: {}, open: peer.open });
  const [web, api] = [server("10.0.0.1"), server("10.0.0.2")];
  const set = ipset("KUBE-IPVS-IPS", "IPv4");
  const operations: Operation[] = [
    { kind: "add-entry", entry: addressEntry(set, web.address) },
    { kind: "add-entry", entry: addressEntry(set, api.address) },
    { kind: "add-virtual-server", server: web },
    { kind: "add-real-server", server: web, real: realServer(ip("10.1.0.1"), 80) },
    { kind: "bind-address", binding: "address", address: web.address },
    { kind: "unbind-address", binding: "address", address: api.address },
    { kind: "delete-virtual-server", server: api },
    { kind: "delete-entry", entry: addressEntry(set, api.address) },
  ];
  const outcomes = await kernel.apply(operations);
  expect(outcomes.map((outcome) => (outcome.ok ? "ok" : outcome.errno))).toEqual([
    ...["ok", "ok", "ok", "ok", "ok", "ok"],
    "ESRCH",
    "ok",
  ]);
  expect(log).toEqual(["protocol 12 x 1", "protocol 16 x 2", "protocol 0 x 2", "protocol 16 x 1", "protocol 12 x 1"]);
  expect([...kernel.counters.errors]).toEqual([["ESRCH", 1]]);
  await kernel.close();
});

test("after a lost socket the next call uses a new one", async () => {
  const peer = new NetlinkPeer((requests, protocol) =>
    requests.flatMap((it) => (asksFor(it, protocol) ? [introduction(it, protocol), ...accepting([it])] : [[0, 0, 0]])),
  );
  const kernel = new NetlinkKernel({ chains: {}, open: peer.open });
  const operation: Operation = { kind: "add-virtual-server", server: server("10.0.0.1") };
  await expect(kernel.apply([operation])).rejects.toMatchObject({ code: "EBADMSG" });
  peer.peer = accepting;
  expect(await kernel.apply([operation])).toEqual([{ ok: true }]);
  expect(peer.opened).toBe(2);
  await kernel.close();
});

describe("an interface kube-ipvs0 with IPv6 switched off, as net/ipv6/conf/default has it", () => {
  const SYSCTL = "net/ipv6/conf/kube-ipvs0/disable_ipv6";
  const node = new FakeNode();
  const kernel = node.kernel();
  const bare = { families: ["IPv4", "IPv6"], rules: {}, sysctls: [] } as const;
  beforeEach(() => {
    node.sysctls.wrong.set(SYSCTL, "1");
    node.sysctls.isWritable = true;
    node.link = "dummy";
  });

  test("gets IPv6 enabled if IPv6 is served", async () => {
    const change = { object: "sysctl", text: `set ${SYSCTL} to 0` };
    expect((await kernel.prepare({ ...bare, families: ["IPv4"] })).changed).not.toContainEqual(change);
    expect((await kernel.prepare(bare)).changed).toContainEqual(change);
    expect((await kernel.prepare(bare)).changed).toEqual([]);
  });

  test("is reported if sysctls cannot be written", async () => {
    node.sysctls.isWritable = false;
    expect((await kernel.prepare(bare)).warnings).toEqual([`Cannot set ${SYSCTL}: EROFS`]);
  });

  test("is a difference, unless the interface does not exist", async () => {
    expect((await kernel.inspect(bare)).changed).toContainEqual({ object: "sysctl", text: `${SYSCTL} is 1, not 0` });
    node.link = undefined;
    expect((await kernel.inspect(bare)).changed.filter(({ text }) => text.includes("kube-ipvs0"))).toEqual([
      { object: "link", text: 'interface "kube-ipvs0" is missing' },
    ]);
  });
});

/** All that prepare and the writing of rules report, as the agent does both. */
const made = async (kernel: NetlinkKernel, wanted: NodeSetup) => {
  const node = await kernel.prepare(wanted);
  const { changed, failures } = await kernel.writeRules(wanted);
  const warnings = [...node.warnings, ...failures.map(({ message }) => message)];
  return { changed: [...node.changed.map(({ text }) => text), ...changed], warnings, failures };
};

describe("rules", () => {
  test("that cannot be written are reported by family, and the rest of the node is prepared", async () => {
    const node = new FakeNode();
    node.link = undefined;
    const kernel = node.kernel(CHAINS);
    const report = await made(kernel, forwardSetup("-m nosuch -j ACCEPT"));
    expect(report.failures.map(({ family }) => family)).toEqual(["IPv4", "IPv6"]);
    expect(report.warnings).toEqual(
      ["IPv4", "IPv6"].map((family) => expect.stringContaining(`Cannot write iptables table "filter" of ${family}`)),
    );
    expect(report.changed).toContain('created interface "kube-ipvs0"');
    expect(report.changed).toContain('created set "KUBE-6-CLUSTER-IP"');
    expect(await made(kernel, forwardSetup())).toMatchObject({
      changed: ['wrote table "filter" of IPv4', 'wrote table "filter" of IPv6'],
      warnings: [],
    });
    expect((await made(kernel, forwardSetup())).failures).toEqual([]);
    await kernel.close();
  });

  test("of a family without a working program are a warning each time until it works", async () => {
    const node = new FakeNode();
    const programs = [...node.iptables.working].filter((program) => program.startsWith("ip6"));
    for (const program of programs) node.iptables.working.delete(program);
    const kernel = node.kernel(CHAINS);
    const warning = expect.stringContaining("Cannot use iptables for IPv6");
    expect((await kernel.inspect(forwardSetup())).warnings).toEqual([warning]);
    expect((await made(kernel, forwardSetup())).warnings).toEqual([warning]);
    expect((await made(kernel, forwardSetup())).warnings).toEqual([warning]);
    for (const program of programs) node.iptables.working.add(program);
    expect(await made(kernel, forwardSetup())).toMatchObject({
      changed: ['wrote table "filter" of IPv6'],
      warnings: [],
    });
    await kernel.close();
  });

  test("that use a set of another type are removed once, and written again", async () => {
    const node = new FakeNode();
    const kernel = node.kernel(CHAINS);
    await made(kernel, forwardSetup());
    const set = node.sets.set("KUBE-CLUSTER-IP", { type: "hash:ip" });
    // The rules of our chain refer to the set.
    Object.defineProperty(set, "references", {
      get: () => (node.iptables.table("iptables", "filter").has("KUBE-FORWARD") ? 1 : 0),
    });
    const report = await made(kernel, forwardSetup());
    expect(report.warnings).toEqual([]);
    expect(report.changed).toEqual([
      'removed the chains of kube-ipvs from table "filter" of IPv4',
      'removed the chains of kube-ipvs from table "filter" of IPv6',
      'created set "KUBE-CLUSTER-IP"',
      'wrote table "filter" of IPv4',
      'wrote table "filter" of IPv6',
    ]);
    expect(node.iptables.table("iptables", "filter").get("FORWARD")).toEqual([JUMP]);
    await kernel.close();
  });

  test("of other programs that use a set of another type do not cause repeated removals of ours", async () => {
    const node = new FakeNode();
    const kernel = node.kernel(CHAINS);
    await made(kernel, forwardSetup());
    node.sets.set("KUBE-CLUSTER-IP", { type: "hash:ip", references: 1 });
    const warning = expect.stringContaining('Cannot replace set "KUBE-CLUSTER-IP"');
    const first = await made(kernel, forwardSetup());
    expect([first.changed.length, first.warnings]).toEqual([4, [warning]]);
    expect(await made(kernel, forwardSetup())).toMatchObject({ changed: [], warnings: [warning] });
    await kernel.close();
  });
});

const WRONG_SYSCTL = { path: "net/nosuch", value: "1", compare: "equal", required: true } as const;

const spoilSysctl = ({ sysctls }: FakeNode) => {
  sysctls.wrong.set(WRONG_SYSCTL.path, "0");
  sysctls.isWritable = false;
};

test.each<[string, Partial<NodeSetup>, (node: FakeNode) => void, string, RegExp?]>([
  ["its interface", {}, (node) => (node.link = "bridge"), 'Cannot use interface "kube-ipvs0"'],
  ["a sysctl that it needs", { sysctls: [WRONG_SYSCTL] }, spoilSysctl, `Cannot set ${WRONG_SYSCTL.path}: EROFS`],
  ["a timeout", { ipvsTimeouts: [{ name: "tcp", seconds: 1, flag: "f" }] }, () => {}, "Cannot read IPVS timeouts"],
  [
    "a set",
    {},
    (node) => void node.sets.set("KUBE-LOOP-BACK", { type: "hash:ip", references: 1 }),
    'Cannot replace set "KUBE-LOOP-BACK"',
    /^created set "KUBE-LOOP-BACK"$/,
  ],
  ["its rules", {}, (node) => node.iptables.working.clear(), "Cannot use iptables for IPv4", /^wrote table/],
])(
  "a node that lacks %s is otherwise prepared, and its kernel is read",
  async (_, wanted, spoil, warning, lacks = /^created interface/) => {
    const node = new FakeNode();
    const whole = node.kernel(CHAINS);
    const everything = await made(whole, forwardSetup());
    await whole.remove(["IPv4", "IPv6"]);
    spoil(node);
    const kernel = node.kernel(CHAINS);
    const { changed, warnings } = await made(kernel, { ...forwardSetup(), ...wanted });
    expect(warnings[0]).toContain(warning);
    const missed = everything.changed.filter((text) => !changed.includes(text) && !lacks.test(text));
    expect(missed).toEqual([]);
    expect((await kernel.observe("all")).servers.size).toBe(0);
    await Promise.all([whole.close(), kernel.close()]);
  },
);

describe("an interface kube-ipvs0 that is no dummy", () => {
  const bridge = () => {
    const node = new FakeNode();
    node.link = "bridge";
    return node;
  };

  test("is not used, and a warning says so", async () => {
    const kernel = bridge().kernel();
    expect((await kernel.prepare({ families: [], rules: {}, sysctls: [] })).warnings).toEqual([
      'Cannot use interface "kube-ipvs0": EEXIST (an interface of this name exists, but it is of kind "bridge", not "dummy": rename or remove it)',
    ]);
    await kernel.close();
  });

  test("is foreign: its addresses are the node's, and cleanup keeps it", async () => {
    const node = bridge();
    const kernel = node.kernel();
    expect((await kernel.observe("all")).addresses.size).toBe(0);
    expect(await kernel.nodeAddresses()).toEqual(["192.168.1.10", "10.96.0.1"]);
    expect((await kernel.inspect({ families: [], rules: {}, sysctls: [] })).changed).toEqual([
      { object: "link", text: 'interface "kube-ipvs0" is of kind "bridge", not "dummy"' },
    ]);
    expect(await kernel.remove([])).toMatchObject({
      changed: [],
      warnings: ['Interface "kube-ipvs0" was not deleted: it is of kind "bridge", not "dummy"'],
    });
    expect(node.link).toBe("bridge");
    await kernel.close();
  });

  test("is treated differently from a dummy, which has our addresses and is deleted", async () => {
    const node = new FakeNode();
    const kernel = node.kernel();
    expect([...(await kernel.observe("all")).addresses]).toEqual([["10.96.0.1", "address"]]);
    expect(await kernel.nodeAddresses()).toEqual(["192.168.1.10"]);
    expect(await kernel.remove([])).toMatchObject({
      changed: [{ text: 'deleted interface "kube-ipvs0"' }],
      warnings: [],
    });
    expect(node.link).toBeUndefined();
    await kernel.close();
  });
});
