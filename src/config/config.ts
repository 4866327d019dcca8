import { type BindAddress, type Cidr, familyOf, type IPAddress, parseAddress } from "../model/address.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { IptablesBackend } from "../model/kernel/rules.ts";
import type { VipBinding } from "../model/vip-binding.ts";
import type { ServerName } from "./setting-values.ts";
import type { ServiceTarget, TraceFrom, TraceTo } from "./settings/targets.ts";
import { SETTING_KEYS, SETTINGS } from "./settings.ts";

/** The configuration of the process, parsed and checked. */
export interface Config {
  /** The path of a file or folder of manifests; "" for none. */
  readonly manifests: string;
  /** The path of a kubeconfig; "" for none. */
  readonly kubeconfig: string;
  /** URLs of API servers, the preferred one first. If empty, the kubeconfig or the service account of the pod gives it. */
  readonly servers: readonly string[];
  readonly nodeName: string;
  /** The addresses of this node. If empty, the Node object gives them. */
  readonly nodeIPs: readonly IPAddress[];
  /** The address of this node in its family, instead of that of its Node object; an unspecified address for none. */
  readonly bindAddress: IPAddress;
  readonly mode: "ipvs";
  /** No network, one network, or one network of each family. */
  readonly clusterCidrs: readonly Cidr[];
  /** The property by which packets of pods are recognised. */
  readonly localMode: "ClusterCIDR" | "NodeCIDR" | "BridgeInterface" | "InterfaceNamePrefix";
  /** The bridge of the pods, for the mode BridgeInterface; "" if not given. */
  readonly podBridge: string;
  /** The prefix of the names of pod interfaces, for the mode InterfaceNamePrefix; "" if not given. */
  readonly podInterfacePrefix: string;
  /** The bits of the packet mark for local traffic, some of the low 15. */
  readonly localMarkMask: number;
  /** The networks of the addresses that serve NodePorts. If empty, all addresses of the node serve them. */
  readonly nodePortAddresses: readonly Cidr[] | "primary";
  readonly masqueradeAll: boolean;
  /** The number of a bit of the packet mark, 0 to 31. */
  readonly masqueradeBit: number;
  /** The backend for the rules; "auto" finds the one that the node uses. */
  readonly iptablesBackend: "auto" | IptablesBackend;
  readonly scheduler: Scheduler;
  readonly syncPeriodMs: number;
  /** The shortest time between two syncs; 0 for no limit. */
  readonly minSyncPeriodMs: number;
  readonly drainTimeoutMs: number;
  readonly excludeCidrs: readonly Cidr[];
  /** Networks of addresses that Services may use even if they are addresses of this node. */
  readonly sharedVips: readonly Cidr[];
  /** How VIPs are bound. */
  readonly vipBinding: VipBinding;
  readonly strictArp: boolean;
  /** 0 does not change nf_conntrack_max. */
  readonly conntrackMaxPerCore: number;
  readonly conntrackMin: number;
  /** 0 does not change the timeout of the kernel; the same for all timeouts below. */
  readonly conntrackTcpEstablishedSeconds: number;
  readonly conntrackTcpCloseWaitSeconds: number;
  readonly conntrackUdpSeconds: number;
  readonly conntrackUdpStreamSeconds: number;
  /** False does not change the sysctl. */
  readonly conntrackTcpBeLiberal: boolean;
  readonly ipvsTcpSeconds: number;
  readonly ipvsTcpFinSeconds: number;
  readonly ipvsUdpSeconds: number;
  /** The address of the metrics server; undefined for no server. */
  readonly metricsBindAddress: BindAddress | undefined;
  /** The paths of the certificate and the key of the metrics server; "" for a server without TLS. */
  readonly metricsCertFile: string;
  readonly metricsKeyFile: string;
  /** Whether the API server decides who may read from the metrics server. */
  readonly metricsAuthorization: boolean;
  /** The number of ports of Services whose traffic has metrics of its own, the busiest first: 0 for none, infinite for all. */
  readonly serviceTraffic: number;
  /** Whether the virtual servers of these ports are a metric too. */
  readonly virtualServerInfo: boolean;
  /** The address of the health server; undefined for no server. */
  readonly healthzBindAddress: BindAddress | undefined;
  /** The servers that do not listen, whatever their addresses. */
  readonly disabledServers: readonly ServerName[];
  /** Whether the agent ends if a server cannot listen. */
  readonly bindAddressHardFail: boolean;
  /** The log level in the numbers of klog. From 4 on, debug messages are logged. */
  readonly verbosity: number;
  readonly loggingFormat: "text" | "json";
  readonly output: "text" | "json";
  /** Whether problems of objects are a failure of the command. */
  readonly strict: boolean;
  /** The path of the unix socket at which the running agent answers; "" for none. */
  readonly stateSocket: string;
  /** Whether the metrics server has the page /ui. */
  readonly page: boolean;
  /** The Service to explain; undefined if none is given. */
  readonly service: ServiceTarget | undefined;
  /** Where a traced packet comes from. */
  readonly traceFrom: TraceFrom;
  /** Where it goes to; undefined if nothing is given. */
  readonly traceTo: TraceTo | undefined;
}

/** The text of a field and its source, for example "--node-name" or "NODE_NAME". */
export interface Given {
  readonly source: string;
  readonly text: string;
}

export type GivenTexts = Readonly<Partial<Record<keyof Config, Given>>>;

/** The texts of all settings. */
export type Texts = Readonly<Record<keyof Config, Given>>;

export interface ConfigReading {
  /** Valid only if there are no problems. */
  readonly config: Config;
  /** The texts of which the configuration was made: the given ones and the defaults. */
  readonly texts: Texts;
  /** All problems. Each names the flag or the path in the file, and the value. */
  readonly problems: readonly string[];
}

/** Reads the configuration from the given texts. Fields without a text have their defaults. */
export function readConfig(given: GivenTexts): ConfigReading {
  const problems: string[] = [];
  const texts = withDefaults(given);
  const fields = SETTING_KEYS.map((key) => {
    const { source, text } = texts[key];
    return [key, SETTINGS[key].parse(text, (problem) => problems.push(`Invalid ${source} "${text}": ${problem}`))];
  });
  // The type of SETTINGS requires an entry for each field, with a `parse` that returns the type of the field.
  const config = Object.fromEntries(fields) as Config;
  return {
    config: withoutDisabled(config),
    texts,
    problems: [...problems, ...contradictions(config, texts, problems)],
  };
}

/** As kube-proxy, servers listen on IPv6 addresses by default if `bindAddress` is an IPv6 address. */
const IPV6_DEFAULTS: Readonly<Partial<Record<keyof Config, string>>> = {
  metricsBindAddress: "[::1]:10249",
  healthzBindAddress: "[::]:10256",
};

function withDefaults(given: GivenTexts): Texts {
  const bind = parseAddress(given.bindAddress?.text ?? "");
  const ipv6 = bind !== undefined && familyOf(bind) === "IPv6" ? IPV6_DEFAULTS : {};
  const texts = SETTING_KEYS.map((key): [keyof Config, Given] => {
    const { flag, fallback } = SETTINGS[key];
    return [key, given[key] ?? { source: `--${flag}`, text: ipv6[key] ?? fallback }];
  });
  // SETTING_KEYS are all keys of Config.
  return Object.fromEntries(texts) as Texts;
}

function withoutDisabled(config: Config): Config {
  const { disabledServers, metricsBindAddress, healthzBindAddress } = config;
  return {
    ...config,
    metricsBindAddress: disabledServers.includes("metrics") ? undefined : metricsBindAddress,
    healthzBindAddress: disabledServers.includes("healthz") ? undefined : healthzBindAddress,
  };
}

/** The problems of values that contradict each other. Values with a problem of their own are not compared. */
function contradictions(config: Config, texts: Texts, problems: readonly string[]): readonly string[] {
  const name = (key: keyof Config) => `${texts[key].source} "${texts[key].text}"`;
  // Where the other setting belongs: in the file beside the first one, or as a flag.
  const beside = (key: keyof Config, other: keyof Config) => {
    const { flag, path } = SETTINGS[other];
    return texts[key].source.startsWith("-") || path === undefined ? `--${flag}` : path;
  };
  const rules: readonly (readonly [key: keyof Config, other: keyof Config, isWrong: boolean, reason: string])[] = [
    [
      "minSyncPeriodMs",
      "syncPeriodMs",
      config.minSyncPeriodMs > config.syncPeriodMs,
      `must not be longer than ${name("syncPeriodMs")}`,
    ],
    [
      "localMarkMask",
      "masqueradeBit",
      Math.floor(config.localMarkMask / 2 ** config.masqueradeBit) % 2 === 1,
      `must not contain the bit of ${name("masqueradeBit")}`,
    ],
    [
      "localMode",
      "podBridge",
      config.localMode === "BridgeInterface" && config.podBridge === "",
      `needs ${beside("localMode", "podBridge")}`,
    ],
    [
      "localMode",
      "podInterfacePrefix",
      config.localMode === "InterfaceNamePrefix" && config.podInterfacePrefix === "",
      `needs ${beside("localMode", "podInterfacePrefix")}`,
    ],
    // A token that is sent without TLS is known to everyone on the path.
    [
      "metricsAuthorization",
      "metricsCertFile",
      config.metricsAuthorization && config.metricsCertFile === "",
      `needs ${beside("metricsAuthorization", "metricsCertFile")}`,
    ],
    [
      "metricsAuthorization",
      "manifests",
      config.metricsAuthorization && config.manifests !== "",
      `needs an API server, and ${name("manifests")} has none`,
    ],
    [
      "virtualServerInfo",
      "serviceTraffic",
      config.virtualServerInfo && config.serviceTraffic === 0,
      `needs ${beside("virtualServerInfo", "serviceTraffic")} other than none`,
    ],
  ];
  const isInvalid = (key: keyof Config) => problems.some((problem) => problem.startsWith(`Invalid ${name(key)}:`));
  const hasCertificate = config.metricsCertFile !== "";
  const isHalf = hasCertificate !== (config.metricsKeyFile !== "");
  const half = `${texts.metricsCertFile.source} and ${texts.metricsKeyFile.source} must be given together`;
  const wrong = rules
    .filter(([key, other, isWrong]) => isWrong && !isInvalid(key) && !isInvalid(other))
    .map(([key, , , reason]) => `Invalid ${name(key)}: ${reason}`);
  return isHalf ? [...wrong, half] : wrong;
}
