import { afterAll, describe, expect, test } from "vitest";
import { openRawSocketOf } from "../../src/kernel/netlink/raw-socket.ts";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { cidr } from "../../src/model/address.ts";
import { parseVirtualServerKey, type Scheduler, virtualServer } from "../../src/model/kernel/ipvs.ts";
import { Shell } from "../support/node/shell.ts";
import { address } from "../support/objects/desired.ts";
import { seenFlows } from "../support/traffic/conntrack.ts";
import { kernelContract } from "./contract.ts";
import { flowContract, type ToldFlow } from "./flow-contract.ts";

// The contract has no rules, and without chains to remove no iptables is started.
const openKernel = () => new NetlinkKernel({ chains: {} });

describe("NetlinkKernel", () => {
  kernelContract(openKernel);

  // As under a net.core.rmem_max of half so many bytes. An answer that finds no room ends this process.
  test.each([4_608, 20_000, 81_920, 163_840])(
    "600 virtual servers are read by name, fail to be added and are deleted with a receive buffer of %i bytes",
    async (bytes) => {
      const kernel = new NetlinkKernel({
        chains: {},
        open: (options, listener) => openRawSocketOf(bytes / 2, options, listener),
      });
      const servers = Array.from(
        { length: 600 },
        (_, index) =>
          virtualServer("TCP", address(`10.97.${index >> 8}.${index & 255}`), 80, { scheduler: "rr" as Scheduler }), // the kernel checks the name
      );
      const onAll = (kind: "add-virtual-server" | "delete-virtual-server") =>
        kernel.apply(servers.map((server) => ({ kind, server })));
      expect((await onAll("add-virtual-server")).every(({ ok }) => ok)).toBe(true);
      const keys = new Set(servers.map(({ key }) => key));
      expect(new Set((await kernel.observe(keys)).servers.keys())).toEqual(keys);
      expect(new Set((await kernel.observe("all")).servers.keys())).toEqual(keys);
      expect((await onAll("add-virtual-server")).filter(({ ok }) => !ok)).toHaveLength(600);
      expect((await onAll("delete-virtual-server")).every(({ ok }) => ok)).toBe(true);
      expect((await onAll("delete-virtual-server")).filter(({ ok }) => !ok)).toHaveLength(600);
      await kernel.close();
    },
  );

  let shell: Shell | undefined;
  afterAll(() => shell?.[Symbol.asyncDispose]());

  flowContract(async () => {
    shell ??= new Shell();
    const within = shell;
    await within.run("conntrack -F 2>&1");
    const flows = {
      add: async (added: readonly ToldFlow[]) => {
        await within.run(added.map(insertion).join("\n"));
      },
      list: async () => (await seenFlows(within)).filter(({ to }) => /(10\.96\.0|fd00:)/.test(to)),
    };
    return { kernel: openKernel(), flows };
  });
});

test("the port range of the node's own connections is read", async () => {
  await using on = new Shell();
  const before = await on.run("cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/ip_local_reserved_ports");
  await on.run("sysctl -qw net.ipv4.ip_local_port_range='20000 40001' net.ipv4.ip_local_reserved_ports=80,30000-32767");
  const kernel = openKernel();
  expect((await kernel.prepare({ families: [], rules: {}, sysctls: [] })).sourcePorts).toEqual({
    chosen: [{ first: 20_000, last: 40_001 }],
    reserved: [
      { first: 80, last: 80 },
      { first: 30_000, last: 32_767 },
    ],
  });
  const [range = "", reserved = ""] = before.split("\n");
  await on.run(`sysctl -qw net.ipv4.ip_local_port_range='${range}' net.ipv4.ip_local_reserved_ports='${reserved}'`);
  await kernel.remove([]);
  await kernel.close();
});

test("the bridges and the families whose bridged packets pass netfilter are read", async () => {
  await using on = new Shell();
  await on.run("ip link add br9 type bridge; ip addr add 10.9.9.1/24 dev br9; ip link set br9 up");
  await on.run("ip link add up9 type dummy; ip addr add 10.9.8.1/24 dev up9; ip link set up9 up");
  const kernel = openKernel();
  const facts = (await kernel.prepare({ families: [], rules: {}, sysctls: [] })).bridges;
  const unfiltered = await on.run(
    "for n in iptables ip6tables; do cat /proc/sys/net/bridge/bridge-nf-call-$n 2>/dev/null || echo 0; done",
  );
  expect(facts?.unfiltered).toEqual((["IPv4", "IPv6"] as const).filter((_, at) => unfiltered.split("\n")[at] !== "1"));
  if (facts?.unfiltered.length !== 0)
    expect(facts?.bridges.map(({ name, addresses }) => [name, addresses[0]])).toEqual([["br9", "10.9.9.1"]]);
  await on.run("ip link del br9; ip link del up9");
  await kernel.remove([]);
  await kernel.close();
});

describe("IPv6 addresses on kube-ipvs0", () => {
  const SETUP = { families: ["IPv6"], rules: {}, sysctls: [] } as const;
  const shown = async (on: Shell) =>
    (await on.run("ip -6 -o addr show dev kube-ipvs0"))
      .split("\n")
      .flatMap((line) => [/inet6 (\S+)\/128.*? (deprecated )?\\/.exec(line)?.slice(1, 3).join(" ") ?? []].flat())
      .map((text) => text.trim())
      .toSorted();

  test("are deprecated in place, also those that another program bound, so that the node's own are the source", async () => {
    await using on = new Shell();
    const kernel = openKernel();
    await on.run(
      [
        "ip link add kube-ipvs0 type dummy",
        "ip addr add fd00:96::6/128 dev kube-ipvs0 nodad",
        "ip addr add fd00:77::7/128 dev kube-ipvs0 nodad",
        // The uplink has a link-local address alone, as where a routing daemon announces an address of lo.
        "ip link add up0 type dummy; ip link set up0 up; ip link set lo up",
        "ip addr add fd00:1::1/128 dev lo nodad; ip route add fd00:96:1::/48 dev up0",
      ].join("\n"),
    );
    const source = async () => / src (\S+)/.exec(await on.run("ip -6 route get fd00:96:1::5"))?.[1];
    expect(await source()).toBe("fd00:96::6");
    const excludedCIDRs = [cidr(address("fd00:77::"), 64)];
    const { changed } = await kernel.prepare({ ...SETUP, excludedCIDRs });
    expect(changed.map(({ text }) => text)).toContain('deprecated 1 IPv6 addresses of "kube-ipvs0"');
    expect(await kernel.apply([{ kind: "bind-address", binding: "address", address: address("fd00:96::8") }])).toEqual([
      { ok: true },
    ]);
    expect(await shown(on)).toEqual(["fd00:77::7", "fd00:96::6 deprecated", "fd00:96::8 deprecated"]);
    expect(await source()).toBe("fd00:1::1");
    // What is the destination as well is preferred whatever it is.
    expect(await on.run("ip -6 route get fd00:96::8")).toMatch(/ src fd00:96::8 /);
    expect((await kernel.prepare({ ...SETUP, excludedCIDRs })).changed).toEqual([]);
    await on.run("ip addr change fd00:96::8/128 dev kube-ipvs0 preferred_lft forever valid_lft forever");
    expect(await kernel.inspect({ ...SETUP, excludedCIDRs })).toMatchObject({
      changed: [{ text: 'address "fd00:96::8" of "kube-ipvs0" is not deprecated' }],
    });
    await kernel.prepare({ ...SETUP, excludedCIDRs });
    expect(await shown(on)).toContain("fd00:96::8 deprecated");
    await on.run("ip link del up0; ip addr del fd00:1::1/128 dev lo");
    await kernel.remove(["IPv6"]);
    await kernel.close();
  });
});

/** The command of conntrack that makes the flow, from a client port of its own. */
function insertion({ to, from, isReplied = false }: ToldFlow, index: number): string {
  const { protocol, address, port } = parseVirtualServerKey(to);
  const answered = parseVirtualServerKey(`${protocol}/${from}` as typeof to); // the same spelling
  const client = address.includes(":") ? "fd00:9::9" : "10.9.9.9";
  const words = {
    TCP: `-p tcp --state ${isReplied ? "ESTABLISHED" : "SYN_SENT"}`,
    UDP: "-p udp",
    SCTP: "-p sctp --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
  };
  const ends = `-s ${client} -d ${address} --sport ${4000 + index} --dport ${port}`;
  const reply = `-r ${answered.address} -q ${client} --reply-port-src ${answered.port} --reply-port-dst ${4000 + index}`;
  return `conntrack -I ${words[protocol]} -t 300 ${ends} ${reply}${isReplied ? " -u SEEN_REPLY" : ""} 2>&1`;
}
