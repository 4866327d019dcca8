declare const KUBE_IPVS_VERSION: string | undefined;

/** The release this was built from; "development" when it runs from its sources. */
export const version = typeof KUBE_IPVS_VERSION === "string" ? KUBE_IPVS_VERSION : "development";

/** The oldest major release of Node.js that has all that is used here. package.json says the same. */
const OLDEST_NODE = 24;

/** Why this cannot run on that release of Node.js, as "20.1.0"; undefined when it can. */
export function nodeProblem(node: string): string | undefined {
  if (Number.parseInt(node, 10) >= OLDEST_NODE) return undefined;
  return `kube-ipvs needs Node.js ${OLDEST_NODE} or newer, and this is ${node} (${process.execPath})`;
}
