import type { Config } from "../config/config.ts";

/** The names below it never exist (RFC 2606). The example in manifests/base/config.env is such a name. */
const EXAMPLE_HOST = /\.invalid$/;

/** What `init` finds in the configuration before it changes anything. With an error the agent could never program the node. */
export interface InitChecks {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Checks for the settings that are often forgotten. */
export function checkForgotten({
  servers,
  localMode,
  clusterCidrs,
}: Pick<Config, "servers" | "localMode" | "clusterCidrs">): InitChecks {
  const examples = servers.filter((url) => EXAMPLE_HOST.test(new URL(url).hostname));
  return {
    errors: examples.map(
      (url) =>
        `API server "${url}" is an example: set apiServers in manifests/base/config.env to an address that works without Services`,
    ),
    warnings:
      localMode === "ClusterCIDR" && clusterCidrs.length === 0
        ? [
            "No cluster CIDR is set, so traffic from outside the cluster is not masqueraded: set clusterCIDR to the network of the pods, or another --detect-local-mode",
          ]
        : [],
  };
}
