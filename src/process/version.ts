declare const KUBE_IPVS_VERSION: string | undefined;

/** The release from which this was built; "development" when it runs from its sources. */
export const version = typeof KUBE_IPVS_VERSION === "string" ? KUBE_IPVS_VERSION : "development";

/** The oldest supported major release of Node.js. package.json has the same number. */
const OLDEST_NODE = 24;

/** Returns why this program cannot run on a release of Node.js, such as "20.1.0"; undefined if it can. */
export function nodeProblem(node: string): string | undefined {
  if (Number.parseInt(node, 10) >= OLDEST_NODE) return undefined;
  return `kube-ipvs needs Node.js ${OLDEST_NODE} or newer; this is ${node} (${process.execPath})`;
}
