import { expect, test } from "vitest";
import { requiredSysctls, type SysctlOptions } from "../../../src/node/sysctls.ts";

const OPTIONS: SysctlOptions = {
  families: ["IPv4"],
  strictARP: false,
  conntrackMaxPerCore: 0,
  conntrackMin: 0,
  conntrackTimeouts: { tcpEstablished: 0, tcpCloseWait: 0, udp: 0, udpStream: 0 },
  conntrackTcpBeLiberal: false,
  cpus: 4,
  kernelRelease: "6.1.0-30-amd64",
};
const wanted = (options: Partial<SysctlOptions>) =>
  requiredSysctls({ ...OPTIONS, ...options }).map(
    ({ path, value, compare, required }) => `${path}${compare === "equal" ? "=" : ">="}${value}${required ? "!" : ""}`,
  );

test("a node with IPv4 alone gets the sysctls that IPVS needs, and forwarding", () => {
  expect(wanted({})).toEqual([
    "net/ipv4/vs/conntrack=1!",
    "net/ipv4/vs/expire_nodest_conn=1",
    "net/ipv4/vs/expire_quiescent_template=1",
    "net/ipv4/ip_forward=1!",
  ]);
});

test.each([
  ["3.10.0-1160.el7.x86_64", false],
  ["4.0.9", false],
  ["4.1", true],
  ["4.19.0-6-amd64", true],
  ["5.8.18", true],
  ["5.9.0", false],
  ["5.10.0-30-amd64", false],
  ["6.1.176", false],
  ["mine", false],
])("kernel %s delays connections that reuse a port: %s", (kernelRelease, delays) => {
  expect(wanted({ kernelRelease }).includes("net/ipv4/vs/conn_reuse_mode=0")).toBe(delays);
});

test("every family that is served is forwarded, and no other", () => {
  expect(wanted({ families: ["IPv6"] }).filter((sysctl) => sysctl.includes("forward"))).toEqual([
    "net/ipv6/conf/all/forwarding=1!",
  ]);
  expect(wanted({ families: ["IPv4", "IPv6"] }).filter((sysctl) => sysctl.includes("forward"))).toHaveLength(2);
});

test.each([
  [["IPv4"] as const, ["net/ipv4/conf/all/arp_ignore=1!", "net/ipv4/conf/all/arp_announce=2!"]],
  [["IPv6"] as const, []],
])("strict ARP with %j sets its sysctls", (families, sysctls) => {
  expect(wanted({ strictARP: true, families }).filter((sysctl) => sysctl.includes("arp"))).toEqual(sysctls);
});

test.each([
  ["is not set without a limit per core", 0, 131_072, 4, undefined],
  ["grows with the cores", 32_768, 0, 8, 262_144],
  ["is at least the minimum", 32_768, 131_072, 2, 131_072],
  ["stops growing at a million", 32_768, 131_072, 128, 1_048_576],
  ["is the minimum even if that is more than a million", 32_768, 2_000_000, 128, 2_000_000],
])("the conntrack limit %s", (_, conntrackMaxPerCore, conntrackMin, cpus, max) => {
  const sysctls = wanted({ conntrackMaxPerCore, conntrackMin, cpus }).filter((sysctl) =>
    sysctl.includes("nf_conntrack"),
  );
  const expected = [`net/netfilter/nf_conntrack_max>=${max}`, `net/netfilter/nf_conntrack_buckets>=${(max ?? 0) / 4}`];
  expect(sysctls).toEqual(max === undefined ? [] : expected);
});

test.each<[Partial<SysctlOptions>, readonly string[]]>([
  [{}, []],
  [{ conntrackTcpBeLiberal: true }, ["nf_conntrack_tcp_be_liberal=1 for --conntrack-tcp-be-liberal"]],
  [
    { conntrackTimeouts: { tcpEstablished: 86_400, tcpCloseWait: 3600, udp: 0, udpStream: 0 } },
    [
      "nf_conntrack_tcp_timeout_established=86400 for --conntrack-tcp-timeout-established",
      "nf_conntrack_tcp_timeout_close_wait=3600 for --conntrack-tcp-timeout-close-wait",
    ],
  ],
  [
    { conntrackTimeouts: { tcpEstablished: 0, tcpCloseWait: 0, udp: 10, udpStream: 60 } },
    [
      "nf_conntrack_udp_timeout=10 for --conntrack-udp-timeout",
      "nf_conntrack_udp_timeout_stream=60 for --conntrack-udp-timeout-stream",
    ],
  ],
])("only the given conntrack options are set: %j", (options, lines) => {
  const told = requiredSysctls({ ...OPTIONS, ...options }).filter(({ path }) => path.startsWith("net/netfilter/"));
  expect(told.map(({ path, value, flag }) => `${path.slice(14)}=${value} for --${flag}`)).toEqual(lines);
  expect(told.filter(({ required }) => required)).toEqual([]);
});

test.each([
  ["by the limit per core", 32_768, 8, "conntrack-max-per-core"],
  ["by the minimum", 32_768, 2, "conntrack-min"],
])("the failure to set a conntrack limit names the flag that decided it: %s", (_, conntrackMaxPerCore, cpus, flag) => {
  const sysctls = requiredSysctls({ ...OPTIONS, conntrackMaxPerCore, conntrackMin: 131_072, cpus });
  expect(sysctls.filter((sysctl) => sysctl.flag !== undefined).map((sysctl) => sysctl.flag)).toEqual([flag, flag]);
});
