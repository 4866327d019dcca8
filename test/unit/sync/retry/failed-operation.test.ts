import { expect, test } from "vitest";
import type { Errno } from "../../../../src/model/kernel/errno.ts";
import { addressPortEntry, ipset, portEntry } from "../../../../src/model/kernel/ipset.ts";
import { type Scheduler, virtualServer } from "../../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../../src/model/kernel/operation.ts";
import { RealServers } from "../../../../src/model/kernel/real-servers.ts";
import { describeFailure } from "../../../../src/sync/retry/failed-operation.ts";
import { address, realServer } from "../../../support/objects/desired.ts";

const server = virtualServer("TCP", address("10.96.0.1"), 80, { scheduler: "mh" as Scheduler }); // any word is one
const real = realServer(address("10.244.0.255"), 8080);
const full = addressPortEntry(ipset("KUBE-CLUSTER-IP", "IPv4"), address("10.96.0.1"), "TCP", 80);
const port = portEntry(ipset("KUBE-NODE-PORT-TCP", "IPv4"), 30_001);
const bind = (text: string): Operation => ({ kind: "bind-address", binding: "address", address: address(text) });
const route = (text: string): Operation => ({ kind: "bind-address", binding: "route", address: address(text) });
const add: Operation = { kind: "add-virtual-server", server };
const addReal: Operation = { kind: "add-real-server", server, real };
const addEntry: Operation = { kind: "add-entry", entry: full };

const NO_MEMORY = "the kernel has no memory: free memory on the node";
const NO_CAPABILITY = "the process lacks CAP_NET_ADMIN: add the capability NET_ADMIN to the container";
const NO_SCHEDULER = 'the kernel has no scheduler "mh": run "modprobe ip_vs_mh" on the node';
const NO_IPV6 =
  "net/ipv6/conf/kube-ipvs0/disable_ipv6 is 1: set it to 0, or delete the pod, its init container sets it";
const NO_TYPE = (module: string) => `the kernel has no sets of this type: run "modprobe ${module}" on the node`;

test.each<[Operation, Errno, string]>([
  [add, "ENOENT", `Cannot add virtual server "TCP/10.96.0.1:80": ENOENT: ${NO_SCHEDULER}`],
  [
    { kind: "update-virtual-server", server },
    "ENOENT",
    `Cannot update virtual server "TCP/10.96.0.1:80": ENOENT: ${NO_SCHEDULER}`,
  ],
  [add, "ENOMEM", `Cannot add virtual server "TCP/10.96.0.1:80": ENOMEM: ${NO_MEMORY}`],
  [
    add,
    "EAFNOSUPPORT",
    'Cannot add virtual server "TCP/10.96.0.1:80": EAFNOSUPPORT: IPVS of this kernel is built without IPv6: use a kernel with CONFIG_IP_VS_IPV6',
  ],
  [
    { kind: "delete-virtual-server", server },
    "EPERM",
    `Cannot delete virtual server "TCP/10.96.0.1:80": EPERM: ${NO_CAPABILITY}`,
  ],
  [
    addReal,
    "EINVAL",
    'Cannot add real server "10.244.0.255:8080" of "TCP/10.96.0.1:80": EINVAL: the address is broadcast, multicast or link-local: correct the EndpointSlice',
  ],
  [
    { kind: "update-real-server", server, real },
    "EINVAL",
    'Cannot update real server "10.244.0.255:8080" of "TCP/10.96.0.1:80": EINVAL',
  ],
  [
    { kind: "delete-real-server", server, real },
    "EPERM",
    `Cannot delete real server "10.244.0.255:8080" of "TCP/10.96.0.1:80": EPERM: ${NO_CAPABILITY}`,
  ],
  [bind("fd00:96::1"), "EACCES", `Cannot bind address "fd00:96::1": EACCES: ${NO_IPV6}`],
  [
    route("fd00:96::1"),
    "EACCES",
    'Cannot bind route of "fd00:96::1": EACCES: net/ipv6/conf/lo/disable_ipv6 is 1: set it to 0, or use --vip-binding=address',
  ],
  [
    route("fd00:96::1"),
    "ENETDOWN",
    'Cannot bind route of "fd00:96::1": ENETDOWN: the interface lo is down: run "ip link set lo up" on the node',
  ],
  [route("10.96.0.1"), "ENOBUFS", `Cannot bind route of "10.96.0.1": ENOBUFS: ${NO_MEMORY}`],
  [bind("10.96.0.1"), "EACCES", 'Cannot bind address "10.96.0.1": EACCES'],
  [bind("10.96.0.1"), "ENOBUFS", `Cannot bind address "10.96.0.1": ENOBUFS: ${NO_MEMORY}`],
  [
    { kind: "unbind-address", binding: "address", address: address("10.96.0.1") },
    "EPERM",
    `Cannot unbind address "10.96.0.1": EPERM: ${NO_CAPABILITY}`,
  ],
  [
    addEntry,
    "IPSET_ERR_HASH_FULL",
    'Cannot add member "10.96.0.1,tcp:80" of set "KUBE-CLUSTER-IP": IPSET_ERR_HASH_FULL: the set is full and the kernel refuses a larger one: free memory on the node',
  ],
  [
    addEntry,
    "IPSET_ERR_TYPE_MISMATCH",
    'Cannot add member "10.96.0.1,tcp:80" of set "KUBE-CLUSTER-IP": IPSET_ERR_TYPE_MISMATCH: the set has another type and is in use by iptables rules of others: remove these rules',
  ],
  [
    addEntry,
    "IPSET_ERR_FIND_TYPE",
    `Cannot add member "10.96.0.1,tcp:80" of set "KUBE-CLUSTER-IP": IPSET_ERR_FIND_TYPE: ${NO_TYPE("ip_set_hash_ipport")}`,
  ],
  [
    { kind: "add-entry", entry: port },
    "IPSET_ERR_FIND_TYPE",
    `Cannot add member "30001" of set "KUBE-NODE-PORT-TCP": IPSET_ERR_FIND_TYPE: ${NO_TYPE("ip_set_bitmap_port")}`,
  ],
  [
    { kind: "delete-entry", entry: port },
    "ENOMEM",
    `Cannot delete member "30001" of set "KUBE-NODE-PORT-TCP": ENOMEM: ${NO_MEMORY}`,
  ],
  [
    { kind: "forget-flows", to: server.key, keep: RealServers.NONE },
    "ETIMEDOUT",
    'Cannot remove flows to "TCP/10.96.0.1:80": ETIMEDOUT',
  ],
])("the failure of %o with %s is described", (operation, errno, sentence) => {
  expect(describeFailure({ operation, errno, text: "" })).toBe(sentence);
});

test("the description of a failure repeats the explanation of the kernel", () => {
  expect(describeFailure({ operation: addReal, errno: "ERANGE", text: "weight" })).toBe(
    'Cannot add real server "10.244.0.255:8080" of "TCP/10.96.0.1:80": ERANGE (weight)',
  );
});
