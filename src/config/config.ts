import type { BindAddress, Cidr, IPAddress } from "../model/address.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import { SETTINGS } from "./settings.ts";

/** All that can be configured, read and checked. */
export interface Config {
  /** File or folder of manifests; "" for none. */
  readonly manifests: string;
  /** Path of a kubeconfig; "" for none. */
  readonly kubeconfig: string;
  /** URLs of API servers, the preferred first; empty: the one of the kubeconfig, or of the cluster around this pod. */
  readonly servers: readonly string[];
  readonly nodeName: string;
  /** The node's own addresses, for want of a Node object or instead of what it says; empty: not given. */
  readonly nodeIPs: readonly IPAddress[];
  /** Empty, one network, or one of each family. */
  readonly clusterCidrs: readonly Cidr[];
  /** How packets of pods are told from others. */
  readonly localMode: "ClusterCIDR" | "NodeCIDR" | "BridgeInterface" | "InterfaceNamePrefix";
  /** The bridge of the pods, for BridgeInterface; "" else. */
  readonly podBridge: string;
  /** How the names of the interfaces of pods begin, for InterfaceNamePrefix; "" else. */
  readonly podInterfacePrefix: string;
  /** Bits of the packet mark for local traffic: some of the low 16. */
  readonly localMarkMask: number;
  /** Empty: NodePorts answer on every address of the node. */
  readonly nodePortAddresses: readonly Cidr[] | "primary";
  readonly masqueradeAll: boolean;
  /** Bit of the packet mark, 0 to 31. */
  readonly masqueradeBit: number;
  readonly scheduler: Scheduler;
  readonly syncPeriodMs: number;
  /** Rest between two syncs; 0 for none. */
  readonly minSyncPeriodMs: number;
  readonly drainTimeoutMs: number;
  readonly excludeCidrs: readonly Cidr[];
  /** Networks of addresses that Services may have though they are this node's. */
  readonly sharedVips: readonly Cidr[];
  readonly strictArp: boolean;
  /** 0 leaves nf_conntrack_max alone. */
  readonly conntrackMaxPerCore: number;
  readonly conntrackMin: number;
  /** 0 leaves it alone, as with all timeouts. */
  readonly conntrackTcpEstablishedSeconds: number;
  readonly conntrackTcpCloseWaitSeconds: number;
  readonly conntrackUdpSeconds: number;
  readonly conntrackUdpStreamSeconds: number;
  /** False leaves it alone. */
  readonly conntrackTcpBeLiberal: boolean;
  readonly ipvsTcpSeconds: number;
  readonly ipvsTcpFinSeconds: number;
  readonly ipvsUdpSeconds: number;
  /** Undefined: not served. */
  readonly metricsBindAddress: BindAddress | undefined;
  /** Undefined: not served. */
  readonly healthzBindAddress: BindAddress | undefined;
  /** As klog counts: from 4 on, debug messages are written too. */
  readonly verbosity: number;
  readonly loggingFormat: "text" | "json";
  readonly output: "text" | "json";
}

/** A text for a field and where it came from, as "--node-name" or "NODE_NAME". */
export interface Given {
  readonly source: string;
  readonly text: string;
}

export type GivenTexts = Readonly<Partial<Record<keyof Config, Given>>>;

export interface ConfigReading {
  /** Of use only when there are no problems. */
  readonly config: Config;
  /** Everything that is wrong, each naming flag and value. */
  readonly problems: readonly string[];
}

/** Config from the texts that were given, defaults for the rest. */
export function readConfig(given: GivenTexts): ConfigReading {
  const problems: string[] = [];
  const fields = Object.entries(SETTINGS).map(([key, setting]) => {
    const { source, text } = given[key as keyof Config] ?? { source: `--${setting.flag}`, text: setting.fallback };
    return [key, setting.parse(text, (problem) => problems.push(`Invalid ${source} "${text}": ${problem}`))];
  });
  // The type of SETTINGS demands an entry for each field, whose parse returns that field's type.
  const config = Object.fromEntries(fields) as Config;
  return { config, problems: problems.length > 0 ? problems : contradictions(config, given) };
}

/** What is wrong with values that are good by themselves. */
function contradictions(config: Config, given: GivenTexts): readonly string[] {
  const problems: string[] = [];
  if (config.minSyncPeriodMs > config.syncPeriodMs)
    problems.push(
      `${invalid("minSyncPeriodMs", given)}: must not be longer than ${flagAndText("syncPeriodMs", given)}`,
    );
  if (Math.floor(config.localMarkMask / 2 ** config.masqueradeBit) % 2 === 1)
    problems.push(
      `${invalid("localMarkMask", given)}: must not hold the bit of ${flagAndText("masqueradeBit", given)}`,
    );
  if (config.localMode === "BridgeInterface" && config.podBridge === "")
    problems.push(`${invalid("localMode", given)}: needs --${SETTINGS.podBridge.flag}`);
  if (config.localMode === "InterfaceNamePrefix" && config.podInterfacePrefix === "")
    problems.push(`${invalid("localMode", given)}: needs --${SETTINGS.podInterfacePrefix.flag}`);
  return problems;
}

function invalid(key: keyof Config, given: GivenTexts): string {
  return `Invalid ${flagAndText(key, given)}`;
}

function flagAndText(key: keyof Config, given: GivenTexts): string {
  return `--${SETTINGS[key].flag} "${given[key]?.text ?? SETTINGS[key].fallback}"`;
}
