import { expect, test } from "vitest";
import { type GivenTexts, readConfig } from "../../../src/config/config.ts";
import { SETTINGS } from "../../../src/config/settings.ts";
import { FAMILIES, type IPFamily } from "../../../src/model/address.ts";
import { type HostInfo, nodeSetup, staticRules } from "../../../src/node/node-setup.ts";

const HOST: HostInfo = { families: FAMILIES, cpus: 4, kernelRelease: "6.1.0", liberalConntrack: false };

const configOf = (given: Readonly<Record<string, string>>) => {
  const texts = Object.entries(given).map(([key, text]) => [key, { source: key, text }]);
  const { config, problems } = readConfig({
    nodeName: { source: "test", text: "n" },
    ...(Object.fromEntries(texts) as GivenTexts),
  });
  expect(problems).toEqual([]);
  return config;
};
const setup = (given: Readonly<Record<string, string>>, families: readonly IPFamily[] = FAMILIES) =>
  nodeSetup(configOf(given), HOST, { podCIDRs: [], families });
const sysctls = (given: Readonly<Record<string, string>>) =>
  setup(given).sysctls.map(({ path, value }) => `${path.replace(/.*\//, "")}=${value}`);

test.each<[readonly IPFamily[], readonly string[]]>([
  [["IPv4"], ["net/ipv4/ip_forward"]],
  [["IPv6"], ["net/ipv6/conf/all/forwarding"]],
  [
    ["IPv6", "IPv4", "IPv4"],
    ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"],
  ],
])("on a host with both families only packets of %j are forwarded if only these are used", (families, paths) => {
  const forwarding = setup({}, families).sysctls.filter(({ path }) => path.includes("forward"));
  expect(forwarding.map(({ path }) => path)).toEqual(paths);
  expect(Object.keys(setup({}, families).rules)).toEqual(FAMILIES);
});

test("without flags conntrack gets the timeouts of kube-proxy, and IPVS keeps its own", () => {
  const timeouts = sysctls({}).filter((text) => text.includes("_timeout_") || text.includes("liberal"));
  expect(timeouts).toEqual(["nf_conntrack_tcp_timeout_established=86400", "nf_conntrack_tcp_timeout_close_wait=3600"]);
  expect(setup({}).ipvsTimeouts).toEqual([]);
});

test.each([
  ["conntrackTcpEstablishedSeconds", "nf_conntrack_tcp_timeout_established"],
  ["conntrackTcpCloseWaitSeconds", "nf_conntrack_tcp_timeout_close_wait"],
  ["conntrackUdpSeconds", "nf_conntrack_udp_timeout"],
  ["conntrackUdpStreamSeconds", "nf_conntrack_udp_timeout_stream"],
])("%s sets %s, and 0s leaves it alone", (key, name) => {
  expect(sysctls({ [key]: "77s" })).toContain(`${name}=77`);
  expect(sysctls({ [key]: "0s" }).filter((text) => text.startsWith(`${name}=`))).toEqual([]);
});

test.each([
  ["ipvsTcpSeconds", "tcp"],
  ["ipvsTcpFinSeconds", "tcpfin"],
  ["ipvsUdpSeconds", "udp"],
] as const)("%s sets the timeout %s of IPVS alone", (key, name) => {
  expect(setup({ [key]: "77s" }).ipvsTimeouts).toEqual([{ name, seconds: 77, flag: SETTINGS[key].flag }]);
});

test("every flag that the failure of a sysctl names exists", () => {
  const { sysctls: wanted, ipvsTimeouts = [] } = setup({
    ...{ strictArp: "true", conntrackTcpBeLiberal: "true", conntrackUdpSeconds: "1s", conntrackUdpStreamSeconds: "1s" },
    ...{ ipvsTcpSeconds: "1s", ipvsTcpFinSeconds: "1s", ipvsUdpSeconds: "1s" },
  });
  const named = [...wanted, ...ipvsTimeouts].flatMap(({ flag }) => flag ?? []);
  expect(named).toHaveLength(12);
  const flags = Object.values(SETTINGS).map(({ flag }) => flag);
  expect(named.filter((flag) => !flags.includes(flag))).toEqual([]);
});

test.each([
  ["it is strict by default, packets are dropped", false, "false", true],
  ["it is already liberal, packets are forwarded", true, "false", false],
  ["a flag makes it liberal, packets are forwarded", false, "true", false],
])("the handling of invalid packets follows conntrack: %s", (_, liberalConntrack, conntrackTcpBeLiberal, dropped) => {
  const rules = staticRules(configOf({ conntrackTcpBeLiberal }), { families: ["IPv4"], liberalConntrack }, []);
  expect(JSON.stringify(rules).includes("--ctstate INVALID")).toBe(dropped);
});
