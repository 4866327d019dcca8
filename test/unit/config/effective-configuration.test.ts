import fc from "fast-check";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { readCommandLine } from "../../../src/config/cli.ts";

function effectiveOf(argv: readonly string[], file = ""): { config: object; effective: object } {
  const invocation = readCommandLine(argv, {
    env: { KUBERNETES_SERVICE_HOST: "10.96.0.1", NODE_NAME: "n1" },
    hostname: "host",
    readFile: () => file,
  });
  if (invocation.kind !== "command") throw new Error(JSON.stringify(invocation));
  return invocation;
}

test("the effective configuration has the defaults of kube-proxy in Go's notation", () => {
  expect(effectiveOf([]).effective).toEqual({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    bindAddress: "0.0.0.0",
    bindAddressHardFail: false,
    clientConnection: {
      acceptContentTypes: "",
      burst: 10,
      contentType: "application/vnd.kubernetes.protobuf",
      kubeconfig: "",
      qps: 5,
    },
    clusterCIDR: "",
    configSyncPeriod: "15m0s",
    conntrack: {
      maxPerCore: 32768,
      min: 131072,
      tcpBeLiberal: false,
      tcpCloseWaitTimeout: "1h0m0s",
      tcpEstablishedTimeout: "24h0m0s",
      udpStreamTimeout: "0s",
      udpTimeout: "0s",
    },
    detectLocal: { bridgeInterface: "", interfaceNamePrefix: "" },
    detectLocalMode: "ClusterCIDR",
    enableProfiling: false,
    featureGates: {},
    healthzBindAddress: "0.0.0.0:10256",
    hostnameOverride: "",
    iptables: {
      localhostNodePorts: true,
      masqueradeAll: false,
      masqueradeBit: 14,
      minSyncPeriod: "1s",
      snatNodeInternalIP: false,
      syncPeriod: "30s",
    },
    ipvs: {
      excludeCIDRs: null,
      minSyncPeriod: "0s",
      scheduler: "rr",
      strictARP: false,
      syncPeriod: "30s",
      tcpFinTimeout: "0s",
      tcpTimeout: "0s",
      udpTimeout: "0s",
    },
    kubeIpvs: {
      apiServers: null,
      disableServers: null,
      drainTimeout: "15m0s",
      iptablesBackend: "auto",
      localTrafficMarkMask: "0x107f",
      manifests: "",
      metricsAuthorization: false,
      serviceTrafficMetrics: "none",
      virtualServerInfo: false,
      metricsTLSCertFile: "",
      metricsTLSPrivateKeyFile: "",
      nodeIPs: null,
      sharedVIPCIDRs: null,
      stateSocket: "/run/kube-ipvs/state.sock",
      statusPage: false,
      vipBinding: "address",
    },
    logging: {
      flushFrequency: "5s",
      format: "text",
      options: {
        json: { infoBufferSize: "0", splitStream: false },
        text: { infoBufferSize: "0", splitStream: false },
      },
      verbosity: 0,
      vmodule: null,
    },
    metricsBindAddress: "127.0.0.1:10249",
    mode: "ipvs",
    nftables: { masqueradeAll: false, masqueradeBit: 14, minSyncPeriod: "1s", syncPeriod: "30s" },
    nodePortAddresses: null,
    oomScoreAdj: -999,
    portRange: "",
    showHiddenMetricsForVersion: "",
    windowsRunAsService: false,
    winkernel: {
      enableDSR: false,
      forwardHealthCheckVip: false,
      networkName: "",
      rootHnsEndpointName: "",
      sourceVip: "",
    },
  });
});

test("values without effect are shown as they were given", () => {
  const file =
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\noomScoreAdj: 7\nbindAddress: '::'";
  expect(effectiveOf(["--config=f", "--profiling"], file).effective).toMatchObject({
    oomScoreAdj: 7,
    enableProfiling: true,
    metricsBindAddress: "[::1]:10249",
    healthzBindAddress: "[::]:10256",
  });
});

test("the written configuration, read as a file, is the same configuration", () => {
  const argument = fc.constantFrom(
    "--kubeconfig=/k",
    "--hostname-override=n1",
    "--cluster-cidr=10.0.0.0/8,fd00::/8",
    "--detect-local-mode=NodeCIDR",
    "--nodeport-addresses=primary",
    "--nodeport-addresses=10.0.0.0/8,11.0.0.0/8",
    "--masquerade-all",
    "--iptables-masquerade-bit=13",
    "--ipvs-scheduler=sh",
    "--ipvs-sync-period=90.5s",
    "--ipvs-min-sync-period=250ms",
    "--drain-timeout=0s",
    "--conntrack-tcp-timeout-established=0s",
    "--conntrack-max-per-core=0",
    "--bind-address=fd00::5",
    "--metrics-bind-address=",
    "--healthz-bind-address=::1",
    "--disable-servers=healthz",
    "--local-traffic-mark-mask=0x30",
    "--service-traffic-metrics=50",
    "--service-traffic-metrics=all",
    "--node-ip=10.0.0.5,fd00::5",
    "-v=4",
    "--logging-format=json",
    "--oom-score-adj=5",
  );
  fc.assert(
    fc.property(fc.uniqueArray(argument, { selector: (text) => text.replace(/=.*/, "") }), (argv) => {
      const { config, effective } = effectiveOf(argv);
      const again = effectiveOf(["--config=f"], stringify(effective));
      // A server that has the address "" is a disabled one in the file.
      const { disabledServers: _, ...rest } = config as { disabledServers: unknown };
      expect(again.config).toMatchObject(rest);
      expect(again.effective).toEqual(parse(stringify(effective)));
    }),
  );
});
