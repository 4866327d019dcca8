import { expect, test } from "vitest";
import { readCommandLine } from "../../../src/config/cli.ts";
import type { Config } from "../../../src/config/config.ts";

/** Whether a flag counts beside `--config`: "file" if the file replaces it, "flag" if the flag takes precedence. */
type BesideFile = "file" | "flag";

/** The flags of kube-proxy that are settings: an argument, the field that it gives, and who wins beside a file. */
const USED: readonly (readonly [argument: string, expected: Partial<Config>, besideFile: BesideFile])[] = [
  ["--bind-address=172.18.0.5", { bindAddress: "172.18.0.5" as Config["bindAddress"] }, "file"],
  ["--bind-address-hard-fail", { bindAddressHardFail: true }, "file"],
  ["--cluster-cidr=10.0.0.0/8", { clusterCidrs: [expect.objectContaining({ text: "10.0.0.0/8" })] }, "file"],
  ["--conntrack-max-per-core=7", { conntrackMaxPerCore: 7 }, "file"],
  ["--conntrack-min=7", { conntrackMin: 7 }, "file"],
  ["--conntrack-tcp-be-liberal", { conntrackTcpBeLiberal: true }, "file"],
  ["--conntrack-tcp-timeout-close-wait=7s", { conntrackTcpCloseWaitSeconds: 7 }, "file"],
  ["--conntrack-tcp-timeout-established=7s", { conntrackTcpEstablishedSeconds: 7 }, "file"],
  ["--conntrack-udp-timeout=7s", { conntrackUdpSeconds: 7 }, "file"],
  ["--conntrack-udp-timeout-stream=7s", { conntrackUdpStreamSeconds: 7 }, "file"],
  ["--detect-local-mode=NodeCIDR", { localMode: "NodeCIDR" }, "file"],
  ["--healthz-bind-address=127.0.0.1", { healthzBindAddress: { address: "127.0.0.1" as never, port: 10_256 } }, "file"],
  ["--hostname-override=Other", { nodeName: "other" }, "flag"],
  ["--iptables-masquerade-bit=7", { masqueradeBit: 7, localMarkMask: 0x107f }, "file"],
  ["--ipvs-exclude-cidrs=10.0.0.0/8", { excludeCidrs: [expect.objectContaining({ text: "10.0.0.0/8" })] }, "file"],
  ["--ipvs-min-sync-period=7s", { minSyncPeriodMs: 7_000 }, "file"],
  ["--ipvs-scheduler=wlc", { scheduler: "wlc" as Config["scheduler"] }, "file"],
  ["--ipvs-strict-arp", { strictArp: true }, "file"],
  ["--ipvs-sync-period=7s", { syncPeriodMs: 7_000 }, "file"],
  ["--ipvs-tcp-timeout=7s", { ipvsTcpSeconds: 7 }, "file"],
  ["--ipvs-tcpfin-timeout=7s", { ipvsTcpFinSeconds: 7 }, "file"],
  ["--ipvs-udp-timeout=7s", { ipvsUdpSeconds: 7 }, "file"],
  ["--kubeconfig=/other", { kubeconfig: "/other" }, "file"],
  ["--logging-format=json", { loggingFormat: "json" }, "flag"],
  ["--masquerade-all", { masqueradeAll: true }, "file"],
  ["--master=https://10.0.0.1", { servers: ["https://10.0.0.1"] }, "flag"],
  ["--metrics-bind-address=::1", { metricsBindAddress: { address: "::1" as never, port: 10_249 } }, "file"],
  ["--nodeport-addresses=primary", { nodePortAddresses: "primary" }, "file"],
  ["--pod-bridge-interface=br0", { podBridge: "br0" }, "file"],
  ["--pod-interface-name-prefix=veth", { podInterfacePrefix: "veth" }, "file"],
  ["--proxy-mode=ipvs", { mode: "ipvs" }, "file"],
  ["-v=4", { verbosity: 4 }, "flag"],
];

/** The flags of kube-proxy that are accepted and named in the notice. */
const UNUSED: readonly string[] = [
  "--config-sync-period=1m",
  "--feature-gates=A=true,B=false",
  "--iptables-localhost-nodeports=false",
  "--iptables-min-sync-period=1s",
  "--iptables-sync-period=30s",
  "--kube-api-burst=100",
  "--kube-api-content-type=application/json",
  "--kube-api-qps=50",
  "--log-flush-frequency=5s",
  "--log-json-info-buffer-size=1Mi",
  "--log-json-split-stream",
  "--log-text-info-buffer-size=1Mi",
  "--log-text-split-stream",
  "--nftables-masquerade-all",
  "--nftables-masquerade-bit=14",
  "--nftables-min-sync-period=1s",
  "--nftables-sync-period=30s",
  "--oom-score-adj=-998",
  "--profiling",
  "--show-hidden-metrics-for-version=1.35",
  "--vmodule=proxier=9",
  // Until Kubernetes 1.31.
  "--add_dir_header",
  "--alsologtostderr",
  "--log_backtrace_at=:0",
  "--log_dir=/var/log",
  "--log_file=/var/log/kube-proxy.log",
  "--log_file_max_size=1800",
  "--logtostderr=false",
  "--one_output",
  "--skip_headers",
  "--skip_log_headers",
  "--stderrthreshold=2",
];

/** The number of flags that kube-proxy 1.36 has, with those for nftables that the file has and --help. */
const COUNT = 61;

/** The flags of kube-proxy that select what the program does, and its deprecated ones. */
const OTHERS: readonly (readonly [line: string, expected: object])[] = [
  ["--cleanup", { kind: "command", command: "cleanup" }],
  ["--cleanup=false", { kind: "command", command: "run" }],
  ["--init-only", { kind: "command", command: "init" }],
  ["--cleanup --init-only", { kind: "command", command: "cleanup" }],
  ["--write-config-to=/tmp/x --cleanup", { kind: "write-config", path: "/tmp/x" }],
  ["--version", { kind: "version" }],
  ["--version=raw", { kind: "version" }],
  ["--version=false", { kind: "command", command: "run" }],
  ["--help", { kind: "help" }],
  ["-h", { kind: "help" }],
  ["--config=/f", { kind: "command", command: "run", file: "/f" }],
  ["--healthz-port=0", { config: { healthzBindAddress: undefined } }],
  ["--healthz-port=7", { config: { healthzBindAddress: { address: "0.0.0.0", port: 10_256 } } }],
  ["--healthz-port=7 --healthz-bind-address=::1", { config: { healthzBindAddress: { address: "::1", port: 7 } } }],
  ["--metrics-port=0", { config: { metricsBindAddress: undefined } }],
  [
    "--metrics-port=7 --metrics-bind-address=1.2.3.4:8",
    { config: { metricsBindAddress: { address: "1.2.3.4", port: 8 } } },
  ],
  [
    "--metrics-port=7 --metrics-bind-address=1.2.3.4",
    { config: { metricsBindAddress: { address: "1.2.3.4", port: 7 } } },
  ],
];

const HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

function read(line: string, file = "") {
  return readCommandLine(line.split(" ").filter(Boolean), {
    env: { KUBERNETES_SERVICE_HOST: "10.96.0.1" },
    hostname: "node",
    readFile: () => `${HEAD}${file}`,
  });
}

const nameOf = (argument: string) => argument.replace(/=.*/, "").replaceAll("_", "-");

test("the tables have a row for every flag of kube-proxy", () => {
  const lines = [
    ...USED.map(([line]) => line),
    ...UNUSED.filter((line) => !/_|alsolog|logtostderr|threshold/.test(line)),
    ...OTHERS.map(([line]) => line),
  ];
  const flags = new Set(lines.flatMap((line) => line.split(" ")).map((word) => nameOf(word).replace(/^-h$/, "--help")));
  expect(flags.size).toBe(COUNT);
});

test.each(USED)("%s gives its setting", (line, expected) => {
  expect(read(line)).toMatchObject({ kind: "command", command: "run", notice: "", config: expected });
  expect(read(line.replaceAll(/(?<=\w)-(?=\w*[a-z]+[=-])/g, "_"))).toMatchObject({ kind: "command" });
});

test.each(USED)("%s beside a file: the %3$s counts", (line, expected, besideFile) => {
  const invocation = read(`${line} --config=/f`);
  if (besideFile === "flag") {
    expect(invocation).toMatchObject({ kind: "command", notice: "", config: expected });
    return;
  }
  const notice = `settings without effect: with --config the file replaces ${nameOf(line)}`;
  const { config } = read("--config=/f") as { config: Config };
  expect(invocation).toMatchObject({ kind: "command", notice, config });
});

test.each(UNUSED)("%s is accepted and named", (line) => {
  const plain = read("") as { config: Config };
  const notice = `settings without effect: kube-ipvs does not use ${nameOf(line)}`;
  expect(read(line)).toMatchObject({ kind: "command", notice, config: plain.config });
  if (!line.endsWith("=false")) expect(read(line.replace("=", " "))).toMatchObject({ notice });
});

test.each(OTHERS)("%s", (line, expected) => {
  expect(read(line)).toMatchObject(expected);
});

test("all flags without effect are named in one line", () => {
  const line = "--config=/f --profiling --ipvs-scheduler=rr --healthz-port=1 --oom-score-adj -999";
  expect(read(line, "iptables: { syncPeriod: 1m }\nwindowsRunAsService: true")).toMatchObject({
    notice:
      "settings without effect: kube-ipvs does not use --profiling, --oom-score-adj, iptables.syncPeriod, windowsRunAsService; with --config the file replaces --ipvs-scheduler, --healthz-port",
  });
});

test.each([
  [
    "--proxy-mode=iptables",
    "",
    '--proxy-mode "iptables": kube-ipvs has only the mode ipvs: run kube-proxy --proxy-mode=iptables',
  ],
  [
    "--proxy-mode=nftables",
    "",
    '--proxy-mode "nftables": kube-ipvs has only the mode ipvs: run kube-proxy --proxy-mode=nftables',
  ],
  [
    "--config=/f",
    "mode: iptables",
    'mode "iptables": kube-ipvs has only the mode ipvs: run kube-proxy --proxy-mode=iptables',
  ],
  [
    "--config=/f",
    "mode: userspace",
    'mode "userspace": kube-ipvs has only the mode ipvs: set the mode to ipvs, or run kube-proxy',
  ],
])("%s with the file %j ends with what to run instead", (line, file, text) => {
  expect(read(line, file)).toEqual({ kind: "refused", problems: [expect.stringContaining(`Invalid ${text}`)] });
});

test("faults of flags, of keys and of values are reported together", () => {
  const file =
    "mode: iptables\nipvs: { scheduler: fastest, syncPeriod: 5, excludeCIDRs: [1.2.3.4] }\nfoo: 1\nbindAddress: node";
  expect(read("--config=/f --bogus -v=x", file)).toEqual({
    kind: "refused",
    problems: [
      'Unknown flag "--bogus"',
      expect.stringContaining('Invalid ipvs.syncPeriod "5": must be a duration'),
      'Unknown key "foo"',
      'Invalid bindAddress "node": must be an IP address',
      expect.stringContaining('Invalid mode "iptables"'),
      expect.stringContaining('Invalid ipvs.scheduler "fastest": must be one of'),
      'Invalid ipvs.excludeCIDRs "1.2.3.4": "1.2.3.4" is not a CIDR like 10.0.0.0/8',
      'Invalid -v "x": must be an integer of at least 0',
    ],
  });
});

test.each([
  ["--detect-local-mode=BridgeInterface", "", '--detect-local-mode "BridgeInterface": needs --pod-bridge-interface'],
  [
    "--config=/f",
    "detectLocalMode: BridgeInterface",
    'detectLocalMode "BridgeInterface": needs detectLocal.bridgeInterface',
  ],
  [
    "--config=/f",
    "ipvs: { minSyncPeriod: 1m }",
    'ipvs.minSyncPeriod "1m": must not be longer than --ipvs-sync-period "30s"',
  ],
])("%s with the file %j names the setting that is missing or contradicts", (line, file, text) => {
  expect(read(line, file)).toEqual({ kind: "refused", problems: [`Invalid ${text}`] });
});
