/** Checks objects against the OpenAPI descriptions of several versions of Kubernetes, as the package kubernetes-models compiles them. */
interface Kind {
  new (object: object): { validate(): void };
}

/** The versions of Kubernetes whose descriptions are checked; the names of the packages have them. */
export const API_VERSIONS = ["1.33", "1.36"] as const;

interface Typed {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Why the object is invalid for that version of Kubernetes; "" if it is valid. Throws if the version does not have the kind. */
export async function apiProblem(object: object & Typed, version: (typeof API_VERSIONS)[number]): Promise<string> {
  const isOwn = object.apiVersion.startsWith("monitoring.coreos.com/");
  const from = isOwn ? "@kubernetes-models/prometheus-operator" : `kubernetes-models-${version}`;
  const module: Readonly<Record<string, Kind>> = await import(`${from}/${object.apiVersion}/${object.kind}`);
  const Model = module[object.kind];
  if (Model === undefined) throw new Error(`${from} has no ${object.kind}`);
  try {
    new Model(object).validate();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
