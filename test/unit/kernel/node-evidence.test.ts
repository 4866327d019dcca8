import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { NodeEvidenceReader } from "../../../src/kernel/node-evidence.ts";
import { folderOf } from "../../support/objects/kubeconfigs.ts";

async function nodeOf(files: Readonly<Record<string, string>>) {
  const root = await folderOf(files);
  return { root, reader: new NodeEvidenceReader(root) };
}

test("processes, interfaces and MTUs are read", async () => {
  const { reader } = await nodeOf({
    "proc/1/comm": "systemd\n",
    "proc/20/comm": "kubelet\n",
    "proc/21/comm": "kubelet\n",
    "proc/meminfo": "x",
    "sys/class/net/eth0/mtu": "1500\n",
    "sys/class/net/lo/mtu": "65536\n",
  });
  expect(await reader.processes()).toEqual(["kubelet", "systemd"]);
  expect([...(await reader.mtus())].sort()).toEqual([
    ["eth0", 1500],
    ["lo", 65_536],
  ]);
});

test("the fill of conntrack has its dropped packets of all CPUs; without conntrack there is none", async () => {
  const { reader } = await nodeOf({
    "proc/sys/net/netfilter/nf_conntrack_count": "7\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "100\n",
    "proc/net/stat/nf_conntrack":
      "entries clashres drop early_drop\n00000007 0 0000000a 00000001\n00000007 0 00000000 00000002\n",
  });
  expect(await reader.conntrack()).toEqual({ count: 7, max: 100, dropped: 13 });
  const { reader: without } = await nodeOf({});
  expect(await without.conntrack()).toBeUndefined();
});

test.each([
  ["the interface alone", { all: "0", eth0: "1", eth1: "2" }, ["eth0"]],
  ["all interfaces", { all: "1", eth0: "0", eth1: "2" }, ["eth0"]],
  ["no interface, because loose wins", { all: "2", eth0: "1", eth1: "1" }, []],
])("the reverse path filter is strict by the larger value: %s", async (_what, values, strict) => {
  const files = Object.entries({ lo: "1", "kube-ipvs0": "1", default: "1", ...values }).map(([name, value]) => [
    `proc/sys/net/ipv4/conf/${name}/rp_filter`,
    `${value}\n`,
  ]);
  const netstat = "TcpExt: SyncookiesSent IPReversePathFilter Other\nTcpExt: 1 42 3\nIpExt: A\nIpExt: 1\n";
  const { reader } = await nodeOf({ ...Object.fromEntries(files), "proc/net/netstat": netstat });
  expect(await reader.reversePath()).toEqual({ strict, dropped: 42 });
});

test.each([
  ["NetworkManager", { "run/NetworkManager/devices/7": "[device]\nmanaged=true\n" }, ["NetworkManager"]],
  ["nobody", { "run/NetworkManager/devices/7": "[device]\nmanaged=false\n" }, []],
  ["networkd", { "run/systemd/netif/links/7": "ADMIN_STATE=configured\nOPER_STATE=off\n" }, ["systemd-network"]],
  ["nobody", { "run/systemd/netif/links/7": "ADMIN_STATE=unmanaged\n" }, []],
  ["nobody, for all that can be seen", {}, []],
])("an interface is managed by %s", async (_who, files, managers) => {
  const { reader } = await nodeOf({ "sys/class/net/kube-ipvs0/ifindex": "7\n", ...files });
  expect(await reader.managers("kube-ipvs0")).toEqual(managers);
});

test("the process that listens at a port is found by the inode of its socket", async () => {
  const line = (local: string, state: string, inode: number) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 x\n`;
  const { root, reader } = await nodeOf({
    "proc/net/tcp": `  sl  local_address ...\n${line("0100007F:2809", "01", 5)}${line("0100007F:280A", "0A", 6)}`,
    "proc/net/tcp6": line("00000000000000000000000000000000:2809", "0A", 9),
    "proc/8/comm": "other\n",
    "proc/9/comm": "kube-proxy\n",
  });
  for (const [pid, inode] of [
    [8, 6],
    [9, 9],
  ]) {
    await mkdir(join(root, `proc/${pid}/fd`));
    await symlink(`socket:[${inode}]`, join(root, `proc/${pid}/fd/3`));
  }
  expect(await reader.listener(10_249)).toBe("kube-proxy (process 9)");
  expect(await reader.listener(10_250)).toBe("other (process 8)");
  expect(await reader.listener(80)).toBe("");
});
