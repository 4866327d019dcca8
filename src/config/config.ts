import type { BindAddress, Cidr, IPAddress } from "../model/address.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { IptablesBackend } from "../model/kernel/rules.ts";
import { SETTINGS } from "./settings.ts";

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
  /** The address of the health server; undefined for no server. */
  readonly healthzBindAddress: BindAddress | undefined;
  /** The log level in the numbers of klog. From 4 on, debug messages are logged. */
  readonly verbosity: number;
  readonly loggingFormat: "text" | "json";
  readonly output: "text" | "json";
}

/** The text of a field and its source, for example "--node-name" or "NODE_NAME". */
export interface Given {
  readonly source: string;
  readonly text: string;
}

export type GivenTexts = Readonly<Partial<Record<keyof Config, Given>>>;

export interface ConfigReading {
  /** Valid only if there are no problems. */
  readonly config: Config;
  /** All problems. Each names the flag and the value. */
  readonly problems: readonly string[];
}

/** Reads the configuration from the given texts. Fields without a text have their defaults. */
export function readConfig(given: GivenTexts): ConfigReading {
  const problems: string[] = [];
  const fields = Object.entries(SETTINGS).map(([key, setting]) => {
    const { source, text } = given[key as keyof Config] ?? { source: `--${setting.flag}`, text: setting.fallback };
    return [key, setting.parse(text, (problem) => problems.push(`Invalid ${source} "${text}": ${problem}`))];
  });
  // The type of SETTINGS requires an entry for each field, with a `parse` that returns the type of the field.
  const config = Object.fromEntries(fields) as Config;
  return { config, problems: problems.length > 0 ? problems : contradictions(config, given) };
}

/** The problems of valid values that contradict each other. */
function contradictions(config: Config, given: GivenTexts): readonly string[] {
  const problems: string[] = [];
  if (config.minSyncPeriodMs > config.syncPeriodMs)
    problems.push(
      `${invalid("minSyncPeriodMs", given)}: must not be longer than ${flagAndText("syncPeriodMs", given)}`,
    );
  if (Math.floor(config.localMarkMask / 2 ** config.masqueradeBit) % 2 === 1)
    problems.push(
      `${invalid("localMarkMask", given)}: must not contain the bit of ${flagAndText("masqueradeBit", given)}`,
    );
  if (config.localMode === "BridgeInterface" && config.podBridge === "")
    problems.push(`${invalid("localMode", given)}: needs --${SETTINGS.podBridge.flag}`);
  if (config.localMode === "InterfaceNamePrefix" && config.podInterfacePrefix === "")
    problems.push(`${invalid("localMode", given)}: needs --${SETTINGS.podInterfacePrefix.flag}`);
  if ((config.metricsCertFile === "") !== (config.metricsKeyFile === ""))
    problems.push(`--${SETTINGS.metricsCertFile.flag} and --${SETTINGS.metricsKeyFile.flag} must be given together`);
  // A token that is sent without TLS is known to everyone on the path.
  if (config.metricsAuthorization && config.metricsCertFile === "")
    problems.push(`${invalid("metricsAuthorization", given)}: needs --${SETTINGS.metricsCertFile.flag}`);
  if (config.metricsAuthorization && config.manifests !== "")
    problems.push(
      `${invalid("metricsAuthorization", given)}: needs an API server, and ${flagAndText("manifests", given)} has none`,
    );
  return problems;
}

function invalid(key: keyof Config, given: GivenTexts): string {
  return `Invalid ${flagAndText(key, given)}`;
}

function flagAndText(key: keyof Config, given: GivenTexts): string {
  return `--${SETTINGS[key].flag} "${given[key]?.text ?? SETTINGS[key].fallback}"`;
}
