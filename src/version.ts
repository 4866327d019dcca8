declare const KUBE_IPVS_VERSION: string | undefined;

/** The release this was built from; "development" when it runs from its sources. */
export const version = typeof KUBE_IPVS_VERSION === "string" ? KUBE_IPVS_VERSION : "development";
