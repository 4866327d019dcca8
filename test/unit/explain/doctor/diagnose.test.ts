import { expect, test } from "vitest";
import { diagnose, diagnosisText } from "../../../../src/explain/doctor/diagnose.ts";
import type { NodeEvidence } from "../../../../src/explain/doctor/evidence.ts";
import type { Scheduler } from "../../../../src/model/kernel/ipvs.ts";

const RR = "rr" as Scheduler; // the name of a scheduler of Linux
const MH = "mh" as Scheduler; // as above

/** A node on which nothing is wrong. */
const HEALTHY: NodeEvidence = {
  unavailable: "",
  differences: [],
  unreadable: [],
  sysctls: [{ path: "net/ipv4/ip_forward", value: "1", compare: "equal", required: true, found: "1" }],
  saved: { IPv4: ["*filter\n:INPUT ACCEPT [0:0]\n[0:0] -A INPUT -p tcp -j DROP\nCOMMIT\n"] },
  rules: {},
  scheduler: RR,
  missingSchedulers: [],
  conntrack: { count: 10, max: 1000, dropped: 0 },
  sourcePorts: { chosen: [{ first: 32_768, last: 60_999 }], reserved: [] },
  nodePorts: [30_080],
  processes: ["kubelet", "node"],
  interfaces: ["eth0", "lo", "kube-ipvs0"],
  proxyLeftovers: [],
  strictArp: false,
  sourceFailure: "",
  servers: [{ url: "https://10.0.0.1:6443", failure: "", clockAheadMs: 200, certificateLeftMs: 90 * 86_400_000 }],
};
const WRONG = { path: "net/ipv4/ip_forward", value: "1", compare: "equal", required: true, found: "0" } as const;
const server = HEALTHY.servers[0] ?? { url: "", failure: "", clockAheadMs: 0, certificateLeftMs: 0 };

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
  ["kube-proxy runs", { processes: ["kube-proxy"] }, "error: neighbours: kube-proxy runs on this node"],
  ["kube-proxy has left chains", { proxyLeftovers: ["3 chains"] }, "warning: neighbours: kube-proxy has left 3 chains"],
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
    "error: source: API server https://10.0.0.1:6443 does not answer: ECONNREFUSED",
  ],
  [
    "the clock is wrong",
    { servers: [{ ...server, clockAheadMs: -90_000 }] },
    "warning: source: the clock of this node is 90 s behind that of https://10.0.0.1:6443",
  ],
  [
    "a certificate ends",
    { servers: [{ ...server, certificateLeftMs: 86_400_000 }] },
    "warning: source: the certificate of https://10.0.0.1:6443 expires in 1 days",
  ],
])("%s", (_title, evidence, line) => {
  const findings = diagnose({ ...HEALTHY, ...evidence });
  expect(findings).toHaveLength(1);
  expect(diagnosisText("n1", findings)).toContain(line);
});

test("strict ARP is enough for an announcer, and errors come first", () => {
  expect(diagnose({ ...HEALTHY, processes: ["speaker"], strictArp: true })).toEqual([]);
  const all = diagnose({ ...HEALTHY, processes: ["NetworkManager", "speaker", "kube-proxy"] });
  expect(all.map(({ severity }) => severity)).toEqual(["error", "warning", "info"]);
});
