import { expect, test } from "vitest";
import { diagnose, diagnosisText, factsOf, notExamined } from "../../../../src/explain/doctor/diagnose.ts";
import type { NodeEvidence, ServerEvidence } from "../../../../src/explain/doctor/evidence.ts";
import type { Scheduler } from "../../../../src/model/kernel/ipvs.ts";

const RR = "rr" as Scheduler; // the name of a scheduler of Linux
const MH = "mh" as Scheduler; // as above

const DAY_MS = 86_400_000;
const server: ServerEvidence = {
  url: "https://10.0.0.1:6443/",
  failure: "",
  address: "10.0.0.1:6443",
  clockAheadMs: 200,
};

/** A node on which nothing is wrong. */
const HEALTHY: NodeEvidence = {
  unavailable: "",
  differences: [],
  unreadable: [],
  backendWarnings: [],
  sysctls: [{ path: "net/ipv4/ip_forward", value: "1", compare: "equal", required: true, found: "1" }],
  saved: { IPv4: ["*filter\n:INPUT ACCEPT [0:0]\n[0:0] -A INPUT -p tcp -j DROP\nCOMMIT\n"] },
  rules: {},
  foreignTables: [],
  scheduler: RR,
  missingSchedulers: [],
  missingModules: [],
  sets: [{ name: "KUBE-CLUSTER-IP", members: 10, limit: 65_536, hardLimit: 2 ** 24 }],
  conntrack: { count: 10, max: 1000, dropped: 0 },
  estimation: { isOn: true, estimators: 9_999, kernelRelease: "6.1.0-18-amd64" },
  vipAddresses: 9_999,
  sourcePorts: { chosen: [{ first: 32_768, last: 60_999 }], reserved: [] },
  nodePorts: [30_080],
  hasUdpServices: false,
  reversePath: { strict: [], dropped: 3 },
  mtus: new Map([
    ["lo", 65_536],
    ["eth0", 1500],
    ["kube-ipvs0", 1400],
  ]),
  processes: ["kthreadd", "kubelet", "node"],
  interfaces: ["eth0", "lo", "kube-ipvs0"],
  otherProxies: [],
  managers: [],
  strictArp: false,
  sourceFailure: "",
  servers: [server],
  certificates: [{ name: "the certificate of https://10.0.0.1:6443/", kind: "server", leftMs: 90 * DAY_MS }],
};
const WRONG = { path: "net/ipv4/ip_forward", value: "1", compare: "equal", required: true, found: "0" } as const;

test("a healthy node has no findings, though its firewall has rules that drop what never came", () => {
  expect(diagnose(HEALTHY)).toEqual([]);
  expect(diagnosisText("n1", [])).toBe("node n1: nothing is wrong\n");
});

test.each<[string, Partial<NodeEvidence>, string]>([
  [
    "IPVS is missing",
    { unavailable: "Cannot find IPVS in this kernel" },
    "error: kernel: Cannot find IPVS in this kernel",
  ],
  ["a sysctl is wrong", { sysctls: [WRONG] }, "error: kernel: net/ipv4/ip_forward is 0 and should be 1"],
  [
    "very many VIPs are addresses",
    { vipAddresses: 10_000 },
    "info: limits: 10000 addresses of Services are on the interface kube-ipvs0",
  ],
  [
    "the scheduler of the node is missing",
    { missingSchedulers: [RR] },
    'error: kernel: the IPVS scheduler "rr" is neither loaded nor found as a module',
  ],
  [
    "the scheduler of a Service is missing",
    { missingSchedulers: [MH] },
    'warning: kernel: the IPVS scheduler "mh" is neither loaded nor found as a module',
  ],
  [
    "the interface is missing",
    { differences: ['interface "kube-ipvs0" is missing'] },
    'warning: kernel: interface "kube-ipvs0" is missing',
  ],
  [
    "conntrack is full",
    { conntrack: { count: 1000, max: 1000, dropped: 0 } },
    "error: limits: conntrack has 1000 of 1000 connections",
  ],
  [
    "conntrack has dropped",
    { conntrack: { count: 1, max: 1000, dropped: 7 } },
    "info: limits: conntrack has dropped 7 packets",
  ],
  [
    "a NodePort is a source port",
    { nodePorts: [40_000] },
    "warning: limits: net/ipv4/ip_local_port_range is 32768-60999 and includes NodePort 40000",
  ],
  [
    "a foreign rule drops packets",
    { saved: { IPv4: ["*filter\n:INPUT ACCEPT [0:0]\n[12:720] -A INPUT -p tcp -m tcp --dport 80 -j DROP\nCOMMIT\n"] } },
    'warning: rules: other programs drop or reject packets of IPv4: rule 1 of filter/INPUT "-p tcp -m tcp --dport 80 -j DROP" (12 packets)',
  ],
  [
    "both backends of iptables have rules",
    { backendWarnings: ["iptables-legacy has rules of other programs"] },
    "warning: kernel: iptables-legacy has rules of other programs",
  ],
  [
    "rules cannot be read",
    { unreadable: ["Cannot use iptables for IPv4: it is missing"] },
    "warning: kernel: Cannot use iptables for IPv4: it is missing",
  ],
  [
    "modules are not installed",
    { missingModules: ["xt_set", "ip_set"] },
    "warning: kernel: this kernel has no module xt_set, ip_set",
  ],
  [
    "a sysctl that is not required is wrong",
    { sysctls: [{ ...WRONG, path: "net/ipv4/vs/expire_nodest_conn", required: false }] },
    "warning: kernel: net/ipv4/vs/expire_nodest_conn is 0 and should be 1",
  ],
  [
    "a set will grow",
    { sets: [{ name: "KUBE-LOOP-BACK", members: 65_000, limit: 65_536, hardLimit: 2 ** 24 }] },
    "info: limits: set KUBE-LOOP-BACK has 65000 of 65536 members",
  ],
  [
    "a set can hardly grow",
    { sets: [{ name: "KUBE-LOOP-BACK", members: 16_000_000, limit: 2 ** 24, hardLimit: 2 ** 24 }] },
    "warning: limits: set KUBE-LOOP-BACK has 16000000 of at most 16777216 members",
  ],
  [
    "a set is full",
    { sets: [{ name: "KUBE-LOOP-BACK", members: 2 ** 24, limit: 2 ** 24, hardLimit: 2 ** 24 }] },
    "error: limits: set KUBE-LOOP-BACK has 16777216 of at most 16777216 members",
  ],
  [
    "the estimator of an old kernel has much to do",
    { estimation: { isOn: true, estimators: 50_000, kernelRelease: "6.1.0-18-amd64" } },
    "warning: limits: Linux 6.1.0-18-amd64 computes the rates of 50000 virtual and real servers in one timer",
  ],
  [
    "the estimator is off",
    { estimation: { isOn: false, estimators: 50_000, kernelRelease: "6.12.1" } },
    "info: limits: net/ipv4/vs/run_estimation is 0",
  ],
  [
    "the reverse path filter has dropped packets",
    { reversePath: { strict: ["eth0", "eth1"], dropped: 7 } },
    "warning: network: rp_filter is 1 (strict) on eth0, eth1, and the filter has dropped 7 packets",
  ],
  [
    "the reverse path filter is strict",
    { reversePath: { strict: ["eth0"], dropped: 0 } },
    "info: network: rp_filter is 1 (strict) on eth0, and the filter has dropped 0 packets",
  ],
  [
    "lo takes longer datagrams than the uplink",
    { hasUdpServices: true },
    "info: network: the MTU of lo is 65536, and that of eth0 is 1500",
  ],
  [
    "a table of nftables drops what no rule accepts",
    { foreignTables: [{ name: "inet firewalld", hooks: ["forward (policy drop)", "input"] }] },
    'warning: rules: nftables table "inet firewalld" of another program has rules at forward (policy drop), input',
  ],
  [
    "a table of nftables sees the packets",
    { foreignTables: [{ name: "ip cilium", hooks: ["prerouting"] }] },
    'info: rules: nftables table "ip cilium" of another program has rules at prerouting',
  ],
  [
    "kube-proxy runs",
    { otherProxies: ["kube-proxy (process 12)"] },
    "error: neighbours: another service proxy runs on this node: kube-proxy (process 12)",
  ],
  [
    "kube-proxy has left its table of nftables",
    { foreignTables: [{ name: "ip kube-proxy", hooks: ["input"] }] },
    'warning: neighbours: nftables table "ip kube-proxy" of kube-proxy\'s nftables mode exists',
  ],
  [
    "kube-proxy has left rules of iptables",
    { differences: ['kube-proxy\'s iptables mode has left rules in table "nat" of IPv4'] },
    'warning: kernel: kube-proxy\'s iptables mode has left rules in table "nat" of IPv4',
  ],
  [
    "another program has the port of the metrics",
    { occupiedPort: { address: "127.0.0.1:10249", owner: "kube-proxy (process 12)" } },
    "warning: neighbours: kube-proxy (process 12) listens at 127.0.0.1:10249, the address of the agent's metrics server",
  ],
  [
    "an unknown program has the port of the metrics",
    { occupiedPort: { address: "127.0.0.1:10249", owner: "" } },
    "warning: neighbours: another program listens at 127.0.0.1:10249",
  ],
  [
    "networkd manages the interface",
    { processes: ["systemd-network"], managers: ["systemd-network"] },
    "warning: neighbours: systemd-network manages the interface kube-ipvs0",
  ],
  [
    "NodeLocal DNSCache runs",
    { interfaces: ["lo", "nodelocaldns"] },
    "info: neighbours: NodeLocal DNSCache serves an address on the interface nodelocaldns",
  ],
  [
    "MetalLB runs without strict ARP",
    { processes: ["speaker"] },
    "warning: neighbours: speaker announces addresses by ARP, and --ipvs-strict-arp is off",
  ],
  ["NetworkManager runs", { processes: ["NetworkManager"] }, "info: neighbours: NetworkManager runs on this node"],
  [
    "the source fails",
    { sourceFailure: "Cannot read" },
    "error: source: the source of Services cannot be read: Cannot read",
  ],
  [
    "a server is silent",
    { servers: [{ ...server, failure: "ECONNREFUSED" }] },
    "error: source: API server https://10.0.0.1:6443/ does not answer: ECONNREFUSED",
  ],
  [
    "the clock is wrong",
    { servers: [{ ...server, clockAheadMs: -90_000 }] },
    "warning: source: the clock of this node is 90 s behind that of https://10.0.0.1:6443/",
  ],
  [
    "the certificate of a server ends",
    { certificates: [{ name: "the certificate of https://10.0.0.1:6443/", kind: "server", leftMs: 1.5 * DAY_MS }] },
    "warning: source: the certificate of https://10.0.0.1:6443/ expires in 1 day\n",
  ],
  [
    "the certificate of the kubeconfig ends",
    { certificates: [{ name: 'the client certificate of kubeconfig "/k"', kind: "client", leftMs: 1000 }] },
    'warning: source: the client certificate of kubeconfig "/k" expires in less than a day\n',
  ],
  [
    "the certificate of the metrics server has ended",
    { certificates: [{ name: 'the certificate of the metrics server "/m.crt"', kind: "metrics", leftMs: -1 }] },
    'error: source: the certificate of the metrics server "/m.crt" has expired\n',
  ],
])("%s", (_title, evidence, line) => {
  const findings = diagnose({ ...HEALTHY, ...evidence });
  expect(findings).toHaveLength(1);
  expect(diagnosisText("n1", findings)).toContain(line);
  // Each tells why it matters and what to do.
  expect(findings.filter(({ effect, cure }) => effect === "" || cure === "")).toEqual([]);
});

test("the address at which an API server answers is a fact", () => {
  expect(factsOf(HEALTHY)).toEqual(["API server https://10.0.0.1:6443/ answers at 10.0.0.1:6443"]);
  expect(factsOf({ ...HEALTHY, servers: [{ ...server, failure: "ECONNREFUSED" }] })).toEqual([]);
  expect(diagnosisText("n1", [], factsOf(HEALTHY))).toMatch(/^ok: API server .*\nnode n1: nothing is wrong\n$/);
});

test("a container without the processes of the node tells what it could not examine", () => {
  expect(notExamined(HEALTHY)).toEqual([]);
  const unexamined = notExamined({ ...HEALTHY, processes: ["node"] });
  expect(diagnosisText("n1", [], [], unexamined)).toMatch(/^not examined: the processes of the node cannot be seen/);
});

test("strict ARP is enough for an announcer, and errors come first", () => {
  expect(diagnose({ ...HEALTHY, processes: ["speaker"], strictArp: true })).toEqual([]);
  const all = diagnose({ ...HEALTHY, processes: ["NetworkManager", "speaker"], otherProxies: ["x"] });
  expect(all.map(({ severity }) => severity)).toEqual(["error", "warning", "info"]);
});
