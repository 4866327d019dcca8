import { Gauge, type Registry } from "prom-client";

/** What this process is built from. */
export interface BuildFacts {
  /** The release of kube-ipvs, such as "0.1.0", or "development". */
  readonly version: string;
  /** The release of Node.js, such as "v24.1.0". */
  readonly node: string;
  /** The platform as Go names it, such as "linux/amd64". */
  readonly platform: string;
}

/** The release of Kubernetes whose kube-proxy has the same metrics, endpoints and configuration. */
export const KUBERNETES = { major: "1", minor: "36", release: "v1.36.2" };

/** Registers the metrics of the build, which are always 1. */
export function registerBuildMetrics(registry: Registry, { version, node, platform }: BuildFacts): void {
  new Gauge({
    name: "kubernetes_build_info",
    help: "Is 1. The version is that of the kube-proxy that kube-ipvs replaces, with the version of kube-ipvs behind the plus sign, so that it can be compared with the other components.",
    labelNames: [
      "major",
      "minor",
      "git_version",
      "git_commit",
      "git_tree_state",
      "build_date",
      "go_version",
      "compiler",
      "platform",
    ],
    registers: [registry],
  }).set(
    {
      major: KUBERNETES.major,
      minor: KUBERNETES.minor,
      git_version: `${KUBERNETES.release}+kube-ipvs.${version}`,
      git_commit: "",
      git_tree_state: "",
      build_date: "",
      go_version: "",
      compiler: `node ${node}`,
      platform,
    },
    1,
  );
  new Gauge({
    name: "kube_ipvs_build_info",
    help: "Is 1, with the release of kube-ipvs and of Node.js as labels.",
    labelNames: ["version", "node_version", "platform"],
    registers: [registry],
  }).set({ version, node_version: node, platform }, 1);
}
