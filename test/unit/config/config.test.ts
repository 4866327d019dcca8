import { describe, expect, test } from "vitest";
import { type Config, type GivenTexts, readConfig } from "../../../src/config/config.ts";
import { SETTINGS } from "../../../src/config/settings.ts";

const node = { nodeName: { source: "--node-name", text: "n" } };

function read(given: Partial<Record<keyof Config, string>>) {
  const texts: GivenTexts = Object.fromEntries(
    Object.entries(given).map(([key, text]) => [key, { source: `--${SETTINGS[key as keyof Config].flag}`, text }]),
  );
  return readConfig({ ...node, ...texts });
}

/** The value of one field, which must have no problem. */
function value<Key extends keyof Config>(key: Key, text: string): Config[Key] {
  const { config, problems } = read({ [key]: text });
  expect(problems).toEqual([]);
  return config[key];
}

function problems(key: keyof Config, text: string): readonly string[] {
  return read({ [key]: text }).problems;
}

test("without options the defaults are those of kube-proxy", () => {
  expect(readConfig(node)).toMatchObject({
    problems: [],
    config: {
      manifests: "",
      kubeconfig: "",
      servers: [],
      nodeName: "n",
      nodeIPs: [],
      bindAddress: "0.0.0.0",
      mode: "ipvs",
      clusterCidrs: [],
      localMode: "ClusterCIDR",
      podBridge: "",
      podInterfacePrefix: "",
      localMarkMask: 0x107f,
      nodePortAddresses: [],
      masqueradeAll: false,
      masqueradeBit: 14,
      iptablesBackend: "auto",
      scheduler: "rr",
      syncPeriodMs: 30_000,
      minSyncPeriodMs: 0,
      drainTimeoutMs: 900_000,
      excludeCidrs: [],
      sharedVips: [],
      strictArp: false,
      conntrackMaxPerCore: 32_768,
      conntrackMin: 131_072,
      conntrackTcpEstablishedSeconds: 86_400,
      conntrackTcpCloseWaitSeconds: 3600,
      conntrackUdpSeconds: 0,
      conntrackUdpStreamSeconds: 0,
      conntrackTcpBeLiberal: false,
      ipvsTcpSeconds: 0,
      ipvsTcpFinSeconds: 0,
      ipvsUdpSeconds: 0,
      metricsBindAddress: { address: "127.0.0.1", port: 10_249 },
      metricsCertFile: "",
      metricsKeyFile: "",
      metricsAuthorization: false,
      serviceTraffic: 0,
      virtualServerInfo: false,
      healthzBindAddress: { address: "0.0.0.0", port: 10_256 },
      disabledServers: [],
      bindAddressHardFail: false,
      verbosity: 0,
      loggingFormat: "text",
      output: "text",
      strict: false,
      stateSocket: "/run/kube-ipvs/state.sock",
      page: false,
      service: undefined,
      traceFrom: "pod",
      traceTo: undefined,
    },
  });
});

test.each([
  ["0", 0],
  ["0s", 0],
  ["-0s", 0],
  ["30s", 30_000],
  ["+30s", 30_000],
  ["1h15m", 4_500_000],
  ["250ms", 250],
  ["1.5s", 1500],
  [".5s", 500],
  ["1.s", 1000],
  ["250us", 0.25],
  ["250µs", 0.25],
  ["250μs", 0.25],
  ["500000ns", 0.5],
  ["1h1m1s1ms", 3_661_001],
  ["596h", 2_145_600_000],
])("the duration %s is %d ms, as in Go", (text, ms) => {
  expect(value("drainTimeoutMs", text)).toBeCloseTo(ms, 9);
});

test.each(["", "30", "30 s", "s", "1d", "1h-5m", "--1s", "1e3s", "∞"])('"%s" is no duration', (text) => {
  expect(problems("drainTimeoutMs", text)).toEqual([
    `Invalid --drain-timeout "${text}": must be a duration like "30s", "1h15m" or "250ms"`,
  ]);
});

test("a delay that is too long for a timer is rejected", () => {
  expect(problems("drainTimeoutMs", "600h")).toEqual(['Invalid --drain-timeout "600h": must be at most 596h']);
});

test.each<[keyof Config, string, string]>([
  ["drainTimeoutMs", "-1s", "must not be negative"],
  ["syncPeriodMs", "0s", "must be greater than zero"],
  ["syncPeriodMs", "30", 'must be a duration like "30s", "1h15m" or "250ms"'],
  ["masqueradeBit", "32", "must be from 0 to 31"],
  ["masqueradeBit", "-1", "must be from 0 to 31"],
  ["masqueradeBit", "0x1", "must be from 0 to 31"],
  ["conntrackMin", "-1", "must be an integer of at least 0"],
  ["conntrackMaxPerCore", "1.5", "must be an integer of at least 0"],
  ["verbosity", "loud", "must be an integer of at least 0"],
  ["masqueradeAll", "yes", "must be true or false"],
  ["loggingFormat", "xml", "must be one of text, json"],
  ["output", "yaml", "must be one of text, json"],
  ["scheduler", "fastest", "must be one of rr, wrr, lc, wlc, lblc, lblcr, sh, dh, sed, nq, fo, ovf, mh"],
  ["nodeIPs", "10.0.0.1,node", '"node" is not an IP address'],
  ["excludeCidrs", "10.0.0.1", '"10.0.0.1" is not a CIDR like 10.0.0.0/8'],
  ["excludeCidrs", "10.0.0.0/33", '"10.0.0.0/33" is not a CIDR like 10.0.0.0/8'],
  ["excludeCidrs", "10.0.0.0/8,", '"" is not a CIDR like 10.0.0.0/8'],
  ["clusterCidrs", "10.0.0.0/8,11.0.0.0/8", "must be one CIDR, or one IPv4 CIDR and one IPv6 CIDR"],
  ["clusterCidrs", "10.0.0.0/8,fd00::/8,fd01::/16", "must be one CIDR, or one IPv4 CIDR and one IPv6 CIDR"],
  ["nodePortAddresses", "primary,10.0.0.0/8", "primary cannot be combined with other values"],
  ["servers", "10.0.0.1:6443", '"10.0.0.1:6443" is not a URL like https://10.0.0.1:6443'],
  ["servers", "https://a,ftp://b", '"ftp://b" is not a URL like https://10.0.0.1:6443'],
  ["servers", "https://me:secret@a", "must not contain credentials: put them into a kubeconfig"],
  ["metricsBindAddress", "localhost:80", "must be IP:port with a port from 1 to 65535"],
  ["metricsBindAddress", "127.0.0.1:0", "must be IP:port with a port from 1 to 65535"],
  ["metricsBindAddress", "127.0.0.1:65536", "must be IP:port with a port from 1 to 65535"],
  ["metricsBindAddress", "[127.0.0.1]:80", "must be IP:port with a port from 1 to 65535"],
  ["healthzBindAddress", ":10256", "must be IP:port with a port from 1 to 65535"],
  ["localMode", "clustercidr", "must be one of ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix"],
  ["conntrackUdpSeconds", "-1s", "must not be negative"],
  ["conntrackUdpSeconds", "999ms", "must be at least 1s, or 0s to keep the value of the kernel"],
  ["ipvsTcpFinSeconds", "120", 'must be a duration like "30s", "1h15m" or "250ms"'],
  ["podBridge", "a bridge", "must be at most 14 letters, digits, and any of . _ - : @"],
  ["podInterfacePrefix", "x -j ACCEPT", "must be at most 14 letters, digits, and any of . _ - : @"],
  ["localMarkMask", "0x1000", "must be at least two bits of 0x7fff"],
  ["localMarkMask", "0x18000", "must be at least two bits of 0x7fff"],
  ["localMarkMask", "all", "must be at least two bits of 0x7fff"],
  ["nodeName", "  ", "must not be blank"],
  ["nodeName", "$(NODE_NAME)", "must be a DNS name of lower case letters, digits, - and ."],
])("%s rejects %s: %s", (key, text, problem) => {
  expect(problems(key, text)).toEqual([`Invalid --${SETTINGS[key].flag} "${text}": ${problem}`]);
});

test.each<[keyof Config, string, unknown]>([
  ["nodeName", " Node-A.example ", "node-a.example"],
  ["scheduler", "", "rr"],
  ["scheduler", "lblcr", "lblcr"],
  ["masqueradeBit", "7", 7],
  ["masqueradeBit", "31", 31],
  ["masqueradeAll", "T", true],
  ["masqueradeAll", "0", false],
  ["conntrackUdpSeconds", "0", 0],
  ["conntrackTcpCloseWaitSeconds", "1m1.9s", 61],
  ["ipvsTcpSeconds", "2h", 7200],
  ["nodePortAddresses", "primary", "primary"],
  ["localMode", "NodeCIDR", "NodeCIDR"],
  ["podInterfacePrefix", "cali", "cali"],
  ["localMarkMask", "0x3F", 0x3f],
  ["localMarkMask", "4128", 0x1020],
  ["nodeIPs", "10.0.0.1, FD00::0:1", ["10.0.0.1", "fd00::1"]],
  ["servers", "https://10.0.0.1:6443, http://[fd00::1]:8080/a", ["https://10.0.0.1:6443", "http://[fd00::1]:8080/a"]],
  ["metricsBindAddress", "", undefined],
  ["healthzBindAddress", "", undefined],
  ["metricsBindAddress", "::1", { address: "::1", port: 10_249 }],
  ["healthzBindAddress", "::", { address: "::", port: 10_256 }],
  ["healthzBindAddress", "[fd00::1]:80", { address: "fd00::1", port: 80 }],
  ["healthzBindAddress", "10.0.0.1:65535", { address: "10.0.0.1", port: 65_535 }],
])("%s reads %j", (key, text, expected) => {
  expect(value(key, text)).toEqual(expected);
});

describe("networks", () => {
  test.each<["clusterCidrs" | "nodePortAddresses" | "excludeCidrs", string, string[]]>([
    ["clusterCidrs", "10.244.1.9/16", ["10.244.0.0/16"]],
    ["clusterCidrs", "fd00::/48,10.244.0.0/16", ["fd00::/48", "10.244.0.0/16"]],
    ["nodePortAddresses", "10.0.0.0/8,192.168.0.0/16", ["10.0.0.0/8", "192.168.0.0/16"]],
    ["excludeCidrs", "10.0.0.0/8,fd00::/8", ["10.0.0.0/8", "fd00::/8"]],
  ])("%s reads %s, host bits masked", (key, text, expected) => {
    const networks = value(key, text);
    expect(networks === "primary" ? networks : networks.map((network) => network.text)).toEqual(expected);
  });
});

test("all invalid values are reported at once, in the order of help", () => {
  expect(read({ verbosity: "x", scheduler: "x", excludeCidrs: "a,b" }).problems).toEqual([
    expect.stringContaining("--ipvs-scheduler"),
    expect.stringContaining('"a" is not'),
    expect.stringContaining('"b" is not'),
    expect.stringContaining("--v"),
  ]);
});

test.each([
  ["30s", "30s", []],
  ["31s", "30s", ['Invalid --ipvs-min-sync-period "31s": must not be longer than --ipvs-sync-period "30s"']],
])("a rest of %s in a period of %s", (rest, period, expected) => {
  expect(read({ minSyncPeriodMs: rest, syncPeriodMs: period }).problems).toEqual(expected);
});

test.each<[Partial<Record<keyof Config, string>>, readonly string[]]>([
  [
    { masqueradeBit: "12" },
    ['Invalid --local-traffic-mark-mask "0x107f": must not contain the bit of --iptables-masquerade-bit "12"'],
  ],
  [{ masqueradeBit: "12", localMarkMask: "0x207f" }, []],
  [{ localMode: "BridgeInterface" }, ['Invalid --detect-local-mode "BridgeInterface": needs --pod-bridge-interface']],
  [{ localMode: "BridgeInterface", podBridge: "cni0" }, []],
  [
    { localMode: "InterfaceNamePrefix", podBridge: "cni0" },
    ['Invalid --detect-local-mode "InterfaceNamePrefix": needs --pod-interface-name-prefix'],
  ],
  [{ metricsCertFile: "a" }, ["--metrics-tls-cert-file and --metrics-tls-private-key-file must be given together"]],
  [{ metricsKeyFile: "a" }, ["--metrics-tls-cert-file and --metrics-tls-private-key-file must be given together"]],
  [{ metricsCertFile: "a", metricsKeyFile: "b", metricsAuthorization: "true" }, []],
  [{ virtualServerInfo: "true", serviceTraffic: "all" }, []],
  [
    { virtualServerInfo: "true" },
    ['Invalid --virtual-server-info "true": needs --service-traffic-metrics other than none'],
  ],
  [{ metricsAuthorization: "true" }, ['Invalid --metrics-authorization "true": needs --metrics-tls-cert-file']],
  [
    { metricsCertFile: "a", metricsKeyFile: "b", metricsAuthorization: "true", manifests: "x" },
    ['Invalid --metrics-authorization "true": needs an API server, and --manifests "x" has none'],
  ],
])("contradicting values are rejected: %j", (texts, expected) => {
  expect(read(texts).problems).toEqual(expected);
});

test("a problem names the source of its value", () => {
  expect(readConfig({ nodeName: { source: "NODE_NAME", text: " " } }).problems).toEqual([
    'Invalid NODE_NAME " ": must not be blank',
  ]);
});
