import type { JsonValue } from "./json.ts";

/** Why kube-ipvs does not use a setting of kube-proxy. */
export const UNUSED_REASONS = {
  mode: "belongs to another proxy mode",
  windows: "is for Windows",
  client: "kube-ipvs has a few long watches and JSON only",
  resync: "watches are not repeated on a timer",
  gates: "kube-ipvs has no feature gates",
  metrics: "kube-ipvs has no hidden metrics",
  profiling: "kube-ipvs has no profiler",
  oom: "set the priority class of the pod; the kubelet then sets it",
  logging: "the log is written unbuffered to standard output",
  userspace: "has no effect in kube-proxy either",
} as const;

export type UnusedType = "boolean" | "integer" | "number" | "duration" | "string" | "gates" | "any";

/** A setting of kube-proxy that is accepted and not used. */
export interface UnusedSetting {
  readonly flag?: string;
  /** Its path in the configuration file; absent if there is only a flag. */
  readonly path?: string;
  readonly type: UnusedType;
  /** The default of kube-proxy. */
  readonly fallback: JsonValue;
  readonly reason: keyof typeof UNUSED_REASONS;
}

type Row = readonly [path: string, flag: string, type: UnusedType, fallback: JsonValue];

const ROWS: Readonly<Record<keyof typeof UNUSED_REASONS, readonly Row[]>> = {
  gates: [["featureGates", "feature-gates", "gates", {}]],
  client: [
    ["clientConnection.acceptContentTypes", "", "string", ""],
    ["clientConnection.contentType", "kube-api-content-type", "string", "application/vnd.kubernetes.protobuf"],
    ["clientConnection.qps", "kube-api-qps", "number", 5],
    ["clientConnection.burst", "kube-api-burst", "integer", 10],
  ],
  resync: [["configSyncPeriod", "config-sync-period", "duration", "15m0s"]],
  profiling: [["enableProfiling", "profiling", "boolean", false]],
  metrics: [["showHiddenMetricsForVersion", "show-hidden-metrics-for-version", "string", ""]],
  oom: [["oomScoreAdj", "oom-score-adj", "integer", -999]],
  logging: [
    ["logging.flushFrequency", "log-flush-frequency", "any", "5s"],
    ["logging.vmodule", "vmodule", "any", null],
    ["logging.options.text.splitStream", "log-text-split-stream", "boolean", false],
    ["logging.options.text.infoBufferSize", "log-text-info-buffer-size", "any", "0"],
    ["logging.options.json.splitStream", "log-json-split-stream", "boolean", false],
    ["logging.options.json.infoBufferSize", "log-json-info-buffer-size", "any", "0"],
    // Flags of klog that kube-proxy had until Kubernetes 1.31, and that manifests still have.
    ["", "add-dir-header", "boolean", false],
    ["", "alsologtostderr", "boolean", false],
    ["", "log-backtrace-at", "string", ""],
    ["", "log-dir", "string", ""],
    ["", "log-file", "string", ""],
    ["", "log-file-max-size", "integer", 1800],
    ["", "logtostderr", "boolean", true],
    ["", "one-output", "boolean", false],
    ["", "skip-headers", "boolean", false],
    ["", "skip-log-headers", "boolean", false],
    ["", "stderrthreshold", "any", 2],
  ],
  mode: [
    ["iptables.localhostNodePorts", "iptables-localhost-nodeports", "boolean", true],
    ["iptables.snatNodeInternalIP", "", "boolean", false],
    ["iptables.syncPeriod", "iptables-sync-period", "duration", "30s"],
    ["iptables.minSyncPeriod", "iptables-min-sync-period", "duration", "1s"],
    ["nftables.masqueradeBit", "nftables-masquerade-bit", "integer", 14],
    ["nftables.masqueradeAll", "nftables-masquerade-all", "boolean", false],
    ["nftables.syncPeriod", "nftables-sync-period", "duration", "30s"],
    ["nftables.minSyncPeriod", "nftables-min-sync-period", "duration", "1s"],
  ],
  windows: [
    ["winkernel.networkName", "", "string", ""],
    ["winkernel.sourceVip", "", "string", ""],
    ["winkernel.enableDSR", "", "boolean", false],
    ["winkernel.rootHnsEndpointName", "", "string", ""],
    ["winkernel.forwardHealthCheckVip", "", "boolean", false],
    ["windowsRunAsService", "", "boolean", false],
  ],
  userspace: [["portRange", "", "string", ""]],
};

/** The settings of kube-proxy that have no effect here. */
export const UNUSED_SETTINGS: readonly UnusedSetting[] = Object.entries(ROWS).flatMap(([reason, rows]) =>
  rows.map(([path, flag, type, fallback]) => ({
    ...(path !== "" && { path }),
    ...(flag !== "" && { flag }),
    type,
    fallback,
    // `Object.entries` loses the type of the keys of ROWS.
    reason: reason as UnusedSetting["reason"],
  })),
);
