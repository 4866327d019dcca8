import type { Config } from "../config/config.ts";
import { type Cidr, FAMILIES, familyOf, type IPAddress, type IPFamily } from "../model/address.ts";

type CheckedSettings = Pick<
  Config,
  | "localMode"
  | "clusterCidrs"
  | "excludeCidrs"
  | "nodePortAddresses"
  | "bindAddress"
  | "healthzBindAddress"
  | "metricsBindAddress"
>;

/** Settings that do not fit the address families of a node, as text for an operator. */
export interface FamilyChecks {
  /** With these the agent does not start, as kube-proxy. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Compares the configuration with the address families that this node supports. */
export function checkFamilies(config: CheckedSettings, families: readonly IPFamily[]): FamilyChecks {
  const { localMode, clusterCidrs } = config;
  const missing = FAMILIES.filter((family) => !families.includes(family));
  const usesClusterCidrs = localMode === "ClusterCIDR" && clusterCidrs.length > 0;
  const fits = clusterCidrs.some(({ family }) => families.includes(family));
  if (usesClusterCidrs && !fits)
    return {
      errors: [
        `clusterCIDR ${texts(clusterCidrs)} has only networks of ${missing.join()}, which this node does not support: set a network of ${families.join()}, or enable ${missing.join()} on the node`,
      ],
      warnings: [],
    };
  return {
    errors: [],
    warnings: [
      ...missing.flatMap((family) => unusable(config, family)),
      ...(missing.length === 0 ? oneSided(config) : []),
    ],
  };
}

/** The settings of a family that the node does not support. */
function unusable(config: CheckedSettings, family: IPFamily): readonly string[] {
  const networks: readonly (readonly [setting: string, values: readonly Cidr[]])[] = [
    ["clusterCIDR", config.localMode === "ClusterCIDR" ? config.clusterCidrs : []],
    ["ipvs.excludeCIDRs", config.excludeCidrs],
    ["nodePortAddresses", config.nodePortAddresses === "primary" ? [] : config.nodePortAddresses],
  ];
  const addresses: readonly (readonly [setting: string, value: IPAddress | undefined])[] = [
    ["bindAddress", config.bindAddress],
    ["healthzBindAddress", config.healthzBindAddress?.address],
    ["metricsBindAddress", config.metricsBindAddress?.address],
  ];
  return [
    ...networks.map(
      ([setting, values]) => [setting, texts(values.filter((value) => value.family === family))] as const,
    ),
    ...addresses.map(([setting, value]) => [setting, value && familyOf(value) === family ? value : ""] as const),
  ]
    .filter(([, value]) => value !== "")
    .map(([setting, value]) => `${setting} ${value} has no effect: this node does not support ${family}`);
}

/** Networks of one family alone where the cluster and the node have both. */
function oneSided({ localMode, clusterCidrs, nodePortAddresses }: CheckedSettings): readonly string[] {
  const isDualStack = localMode === "ClusterCIDR" && FAMILIES.every((family) => has(clusterCidrs, family));
  if (!isDualStack || nodePortAddresses === "primary" || nodePortAddresses.length === 0) return [];
  return FAMILIES.filter((family) => !has(nodePortAddresses, family)).map(
    (family) =>
      `nodePortAddresses ${texts(nodePortAddresses)} has no network of ${family}, so NodePorts are open at all ${family} addresses of the node: add a network, or set "primary"`,
  );
}

function has(networks: readonly Cidr[], family: IPFamily): boolean {
  return networks.some((network) => network.family === family);
}

function texts(networks: readonly Cidr[]): string {
  return networks.map(({ text }) => text).join();
}
