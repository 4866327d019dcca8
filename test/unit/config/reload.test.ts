import { expect, test } from "vitest";
import { type Configuration, readCommandLine } from "../../../src/config/cli.ts";
import { reloadOf } from "../../../src/config/reload.ts";
import { SETTINGS } from "../../../src/config/settings.ts";

const HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

function read(file: string) {
  return readCommandLine(["--config=f"], {
    env: { KUBERNETES_SERVICE_HOST: "10.96.0.1" },
    hostname: "n",
    readFile: () => `${HEAD}${file}`,
  });
}

const before = read("clientConnection: { kubeconfig: /k }") as Configuration & { kind: "command" };

/** A value for each path of the file that is not its default. */
const CHANGED: Readonly<Record<string, string>> = {
  "kubeIpvs.stateSocket": "/run/other.sock",
  "kubeIpvs.statusPage": "true",
  "kubeIpvs.manifests": "/m",
  "clientConnection.kubeconfig": "/other",
  "kubeIpvs.apiServers": "[https://10.0.0.1]",
  hostnameOverride: "other",
  "kubeIpvs.nodeIPs": "[10.0.0.1]",
  bindAddress: "10.0.0.1",
  clusterCIDR: "10.0.0.0/8",
  detectLocalMode: "NodeCIDR",
  "detectLocal.bridgeInterface": "br0",
  "detectLocal.interfaceNamePrefix": "veth",
  "kubeIpvs.localTrafficMarkMask": "0x30",
  nodePortAddresses: "[primary]",
  "iptables.masqueradeAll": "true",
  "iptables.masqueradeBit": "13",
  "kubeIpvs.iptablesBackend": "nft",
  "ipvs.scheduler": "sh",
  "ipvs.syncPeriod": "1m",
  "ipvs.minSyncPeriod": "1s",
  "kubeIpvs.drainTimeout": "1m",
  "ipvs.excludeCIDRs": "[10.0.0.0/8]",
  "kubeIpvs.sharedVIPCIDRs": "[10.0.0.0/8]",
  "kubeIpvs.vipBinding": "route",
  "ipvs.strictARP": "true",
  "conntrack.maxPerCore": "7",
  "conntrack.min": "7",
  "conntrack.tcpEstablishedTimeout": "7s",
  "conntrack.tcpCloseWaitTimeout": "7s",
  "conntrack.udpTimeout": "7s",
  "conntrack.udpStreamTimeout": "7s",
  "conntrack.tcpBeLiberal": "true",
  "ipvs.tcpTimeout": "7s",
  "ipvs.tcpFinTimeout": "7s",
  "ipvs.udpTimeout": "7s",
  metricsBindAddress: "10.0.0.1:7",
  healthzBindAddress: "10.0.0.1:8",
  "kubeIpvs.metricsAuthorization": "false",
  "kubeIpvs.serviceTrafficMetrics": "50",
  bindAddressHardFail: "true",
  "logging.verbosity": "4",
  "logging.format": "json",
};

const settings = Object.values(SETTINGS).filter(({ path = "" }) => Object.hasOwn(CHANGED, path));

/** The file with one more value. */
function fileWith(path: string, value: string): string {
  const [key = "", inner] = path.split(".");
  const kubeconfig =
    path === "clientConnection.kubeconfig" || path === "kubeIpvs.manifests"
      ? ""
      : "clientConnection: { kubeconfig: /k }\n";
  return `${kubeconfig}${key}: ${inner === undefined ? value : `{ ${inner}: ${value} }`}`;
}

test("the table has a value for every setting but those that need another one, and mode and output", () => {
  const missing = Object.values(SETTINGS).filter(({ path = "" }) => !Object.hasOwn(CHANGED, path));
  expect(missing.map(({ flag }) => flag)).toEqual([
    "proxy-mode",
    "metrics-tls-cert-file",
    "metrics-tls-private-key-file",
    "virtual-server-info",
    "disable-servers",
    "output",
    "strict",
    "service",
    "from",
    "to",
  ]);
});

test.each(settings.filter(({ path }) => path !== "kubeIpvs.metricsAuthorization" && path !== "kubeIpvs.manifests"))(
  "a change of $path is applied as the table of settings says",
  ({ path = "", live }) => {
    const reload = reloadOf(before, read(fileWith(path, CHANGED[path] ?? "")));
    expect(reload).toMatchObject({ kind: live === true ? "live" : "restart", settings: [path] });
  },
);

test("one setting that needs a new start is enough, and only such settings are named", () => {
  const next = read("clientConnection: { kubeconfig: /k }\nipvs: { scheduler: sh, excludeCIDRs: [10.0.0.0/8] }");
  expect(reloadOf(before, next)).toEqual({ kind: "restart", settings: ["ipvs.excludeCIDRs"] });
});

test.each(["", "\n# a comment", "\nipvs: { syncPeriod: 30000ms, scheduler: rr }", "\noomScoreAdj: 1"])(
  "%j changes nothing",
  (more) => {
    expect(reloadOf(before, read(`clientConnection: { kubeconfig: /k }${more}`))).toEqual({ kind: "unchanged" });
  },
);

test("an invalid file has all its problems", () => {
  expect(reloadOf(before, read("a: 1\nmode: iptables"))).toMatchObject({
    kind: "invalid",
    problems: [expect.stringContaining('"a"'), expect.stringContaining('"iptables"')],
  });
});
