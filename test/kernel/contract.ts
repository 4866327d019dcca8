import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { mergeObserved } from "../../src/kernel/merge-observed.ts";
import { FAMILIES } from "../../src/model/address.ts";
import { PROTOCOLS } from "../../src/model/cluster/service.ts";
import type { Errno } from "../../src/model/kernel/errno.ts";
import { addressEntry, addressPortEntry, ipset, portEntry } from "../../src/model/kernel/ipset.ts";
import { inSafeOrder, type Operation } from "../../src/model/kernel/operation.ts";
import { RealServers } from "../../src/model/kernel/real-servers.ts";
import { address } from "../support/objects/desired.ts";
import { bindingContract } from "./binding-contract.ts";
import {
  addEntry,
  bind,
  deleteEntry,
  HOSTS,
  membersOf,
  OK,
  onReal,
  onServer,
  real,
  refusal,
  SETUP,
  type ServerOptions,
  server,
  timeout,
  unbind,
} from "./contract-objects.ts";
import { markedServerContract } from "./marked-server-contract.ts";
import { memberContract } from "./member-contract.ts";

/**
 * The contract of every Kernel. `open` returns one of a node without virtual servers, kube-ipvs0 and our sets; each test
 * leaves it in this state.
 */
export function kernelContract(open: () => Promise<Kernel> | Kernel): void {
  let kernel: Kernel;

  beforeEach(async () => {
    kernel = await open();
    await kernel.prepare(SETUP);
  });

  afterEach(async () => {
    const { servers } = await kernel.observe("all");
    await kernel.apply([...servers.values()].map(({ server }) => onServer("delete", server)));
    await kernel.remove(FAMILIES);
    await kernel.close();
  });

  markedServerContract(() => kernel);
  memberContract(() => kernel);
  bindingContract(() => kernel);

  test("a prepared node holds nothing, and preparing it again changes nothing", async () => {
    const observed = await kernel.observe("all");
    expect(observed.servers.size + observed.addresses.size + observed.entries.size).toBe(0);
    expect(observed.unnamedServers).toBe(0);
    expect((await kernel.prepare(SETUP)).changed).toEqual([]);
  });

  test("removed objects are created again by preparing", async () => {
    await kernel.apply([bind("10.96.0.10"), addEntry(portEntry(ipset("KUBE-NODE-PORT-TCP", "IPv4"), 30_080))]);
    await kernel.remove(FAMILIES);
    await kernel.prepare(SETUP);
    const observed = await kernel.observe("all");
    expect(observed.addresses.size + observed.entries.size).toBe(0);
  });

  test("IPVS timeouts are set as desired, a failed one delays no other, and all others stay", async () => {
    const begun = [timeout("tcp", 900), timeout("tcpfin", 120), timeout("udp", 300)];
    await kernel.prepare({ ...SETUP, ipvsTimeouts: begun });
    const mixed = [timeout("tcpfin", 2 ** 31), timeout("udp", 60)];
    expect(await kernel.prepare({ ...SETUP, ipvsTimeouts: mixed })).toMatchObject({
      changed: [{ object: "ipvs-timeout", text: "set IPVS timeout udp from 300 s to 60 s" }],
      warnings: ["Cannot set IPVS timeout tcpfin to 2147483648 s for --flag-of-tcpfin: EINVAL"],
    });
    const now = [timeout("tcp", 900), timeout("tcpfin", 120), timeout("udp", 60)];
    expect(await kernel.prepare({ ...SETUP, ipvsTimeouts: now })).toMatchObject({ changed: [], warnings: [] });
    expect((await kernel.prepare({ ...SETUP, ipvsTimeouts: begun })).changed).toHaveLength(1);
  });

  test("nothing applied has no outcomes", async () => {
    expect(await kernel.apply([])).toEqual([]);
  });

  describe.each(FAMILIES)("%s", (family) => {
    const { vip, pods } = HOSTS[family];
    const vs = server(vip);
    const [first, second] = [real(pods[0]), real(pods[1], 0)];

    test.each(PROTOCOLS)("a %s virtual server is observed as it was added", async (protocol) => {
      const added = server(vip, { protocol, port: 53 });
      expect(await kernel.apply([onServer("add", added)])).toEqual([OK]);
      const { servers } = await kernel.observe("all");
      expect(servers).toEqual(new Map([[added.key, { server: added, reals: RealServers.NONE }]]));
    });

    test.each<[string, ServerOptions]>([
      ["another scheduler", { scheduler: "wlc" }],
      ["client affinity", { persistenceSeconds: 10_800 }],
      ["a day of client affinity", { persistenceSeconds: 86_400 }],
      ["source hashing with a flag", { scheduler: "sh", flags: ["sh-port"] }],
      ["Maglev hashing with flags", { scheduler: "mh", flags: ["mh-fallback", "mh-port"] }],
    ])("%s is observed as added, can be given by an update and taken back", async (_, options) => {
      const special = server(vip, options);
      const observedServer = async () => (await kernel.observe("all")).servers.get(vs.key)?.server;
      expect(await kernel.apply([onServer("add", special)])).toEqual([OK]);
      expect(await observedServer()).toEqual(special);
      expect(await kernel.apply([onServer("update", vs)])).toEqual([OK]);
      expect(await observedServer()).toEqual(vs);
      expect(await kernel.apply([onServer("update", special)])).toEqual([OK]);
      expect(await observedServer()).toEqual(special);
    });

    test("real servers are observed with their weights, and an update of the virtual server keeps them", async () => {
      const outcomes = await kernel.apply([
        onServer("add", vs),
        onReal("add", vs, first),
        onReal("add", vs, second),
        onServer("update", server(vip, { scheduler: "lc" })),
      ]);
      expect(outcomes).toEqual([OK, OK, OK, OK]);
      const reals = (await kernel.observe("all")).servers.get(vs.key)?.reals;
      expect(reals).toEqual(RealServers.of([first, second]));
    });

    test("a real server's weight is updated in place and it can be deleted", async () => {
      await kernel.apply([onServer("add", vs), onReal("add", vs, first), onReal("add", vs, second)]);
      const raised = real(pods[1], 5);
      expect(await kernel.apply([onReal("update", vs, raised), onReal("delete", vs, first)])).toEqual([OK, OK]);
      const reals = (await kernel.observe("all")).servers.get(vs.key)?.reals;
      expect(reals).toEqual(RealServers.of([raised]));
    });

    test("deleting a virtual server deletes its real servers", async () => {
      await kernel.apply([onServer("add", vs), onReal("add", vs, first)]);
      const outcomes = await kernel.apply([onServer("delete", vs), onReal("delete", vs, first), onServer("add", vs)]);
      expect(outcomes).toEqual([OK, refusal("ESRCH"), OK]);
      expect((await kernel.observe("all")).servers.get(vs.key)?.reals.size).toBe(0);
    });

    test("only the named virtual servers are read, and a missing one is left out", async () => {
      const other = server(vip, { port: 81 });
      await kernel.apply([onServer("add", vs), onServer("add", other), onReal("add", other, first), bind(vip)]);
      const observed = await kernel.observe(new Set([other.key, server(vip, { port: 82 }).key]));
      expect(observed.servers).toEqual(new Map([[other.key, { server: other, reals: RealServers.of([first]) }]]));
      expect(observed.addresses.size).toBe(0);
    });

    test.each<[string, readonly Operation[], Errno]>([
      ["a virtual server twice", [onServer("add", vs), onServer("add", vs)], "EEXIST"],
      ["an update of a missing virtual server", [onServer("update", vs)], "ESRCH"],
      ["deleting a missing virtual server", [onServer("delete", vs)], "ESRCH"],
      ["an unknown scheduler", [onServer("add", server(vip, { scheduler: "nosuch" }))], "ENOENT"],
      [
        "an update to an unknown scheduler",
        [onServer("add", vs), onServer("update", server(vip, { scheduler: "nosuch" }))],
        "ENOENT",
      ],
      ["a scheduler of 16 letters", [onServer("add", server(vip, { scheduler: "abcdefghijklmnop" }))], "EINVAL"],
      ["a real server without its virtual server", [onReal("add", vs, first)], "ESRCH"],
      ["an update of a real server without its virtual server", [onReal("update", vs, first)], "ESRCH"],
      ["deleting a real server without its virtual server", [onReal("delete", vs, first)], "ESRCH"],
      ["a real server twice", [onServer("add", vs), onReal("add", vs, first), onReal("add", vs, first)], "EEXIST"],
      ["an update of a missing real server", [onServer("add", vs), onReal("update", vs, first)], "ENOENT"],
      ["deleting a missing real server", [onServer("add", vs), onReal("delete", vs, first)], "ENOENT"],
      ["a negative weight", [onServer("add", vs), onReal("add", vs, real(pods[0], -1))], "ERANGE"],
      [
        "a masqueraded real server of the other family",
        [onServer("add", vs), onReal("add", vs, real(HOSTS[family === "IPv4" ? "IPv6" : "IPv4"].pods[0]))],
        "EINVAL",
      ],
      ["an address twice", [bind(vip), bind(vip)], "EEXIST"],
      ["unbinding a missing address", [unbind(vip)], "EADDRNOTAVAIL"],
    ])("%s is refused and the others are done", async (_, operations, errno) => {
      const witness = addressEntry(ipset("KUBE-IPVS-IPS", family), address(vip));
      const outcomes = await kernel.apply([...operations, addEntry(witness)]);
      expect(outcomes).toEqual([...operations.slice(1).map(() => OK), refusal(errno), OK]);
      expect((await kernel.observe("all")).entries.has(witness.key)).toBe(true);
    });

    test("addresses are bound and unbound", async () => {
      const [other] = pods;
      expect(await kernel.apply([bind(vip), bind(other)])).toEqual([OK, OK]);
      expect((await kernel.observe("all")).addresses).toEqual(
        new Map([
          [vip, "address"],
          [other, "address"],
        ]),
      );
      expect(await kernel.nodeAddresses()).not.toContain(vip);
      expect(await kernel.apply([unbind(vip)])).toEqual([OK]);
      expect((await kernel.observe("all")).addresses).toEqual(new Map([[other, "address"]]));
    });

    test("without kube-ipvs0 and the sets adding addresses and members fails, and adding virtual servers succeeds", async () => {
      await kernel.remove(FAMILIES);
      const [entry] = membersOf(family);
      if (entry === undefined) throw new Error("No member to try");
      expect(await kernel.apply([addEntry(entry), onServer("add", vs), bind(vip), unbind(vip)])).toEqual([
        refusal("ENOENT"),
        OK,
        refusal("ENODEV"),
        refusal("ENODEV"),
      ]);
    });

    test("real servers without clients have no connections, and a missing virtual server is left out", async () => {
      await kernel.apply([onServer("add", vs), onReal("add", vs, first)]);
      const missing = server(vip, { port: 82 });
      expect(await kernel.connections(new Set([vs.key, missing.key]))).toEqual(
        new Map([[vs.key, new Map([[first.key, { active: 0, inactive: 0 }]])]]),
      );
    });
  });

  test("many operations of every kind keep their order and their outcomes", async () => {
    const vips = Array.from({ length: 300 }, (_, index) => `10.97.${index >> 8}.${index & 255}`);
    const servers = vips.map((vip) => server(vip));
    const reals = [real("10.244.0.5"), real("10.244.0.6")];
    const entries = vips.map((vip) => addressPortEntry(ipset("KUBE-CLUSTER-IP", "IPv4"), address(vip), "TCP", 80));
    const operations = [
      ...entries.map(addEntry),
      ...servers.map((each) => onServer("add", each)),
      ...servers.flatMap((each) => [...reals, reals[0] ?? real("10.244.0.5")].map((one) => onReal("add", each, one))),
      ...vips.map(bind),
    ];
    const expected = operations.map((operation, index) => {
      const isThird = operation.kind === "add-real-server" && (index - 600) % 3 === 2;
      return isThird ? refusal("EEXIST") : OK;
    });
    expect(await kernel.apply(operations)).toEqual(expected);
    const observed = await kernel.observe("all");
    expect([...observed.servers.values()].map(({ reals: held }) => held.size)).toEqual(servers.map(() => 2));
    expect(observed.addresses.size).toBe(300);
    expect(new Set(observed.entries.keys())).toEqual(new Set(entries.map(({ key }) => key)));
    const removal = [
      ...vips.map(unbind),
      ...servers.map((each) => onServer("delete", each)),
      ...entries.map(deleteEntry),
    ];
    expect(await kernel.apply(removal)).toEqual(removal.map(() => OK));
  });

  test("a read shows all objects that stay while others are added and deleted, virtual servers possibly only by name", async () => {
    const vips = (net: number) => Array.from({ length: 400 }, (_, n) => `10.${net}.${n >> 8}.${n & 255}`);
    const frontend = (ip: string) => addressPortEntry(ipset("KUBE-CLUSTER-IP", "IPv4"), address(ip), "TCP", 80);
    const come = (ips: readonly string[]) =>
      ips.flatMap((ip) => [addEntry(frontend(ip)), onServer("add", server(ip)), bind(ip)]);
    const go = (ips: readonly string[]) =>
      ips.flatMap((ip) => [unbind(ip), onServer("delete", server(ip)), deleteEntry(frontend(ip))]);
    const [passing, staying] = [vips(96), vips(97)];
    await kernel.apply(inSafeOrder(come([...passing, ...staying])));
    for (const change of [go, come, go, come]) {
      const applied = kernel.apply(inSafeOrder(change(passing)));
      const seen = await mergeObserved(kernel.parts());
      expect((await applied).every(({ ok }) => ok)).toBe(true);
      expect(staying.filter((ip) => !seen.addresses.has(address(ip)))).toEqual([]);
      expect(staying.filter((ip) => !seen.entries.has(frontend(ip).key))).toEqual([]);
      const missed = new Set(staying.map((ip) => server(ip).key).filter((key) => !seen.servers.has(key)));
      expect(new Set((await kernel.observe(missed)).servers.keys())).toEqual(missed);
    }
  });
}
