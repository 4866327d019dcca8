export type ApiPath =
  | "/api/v1/services"
  | "/apis/discovery.k8s.io/v1/endpointslices"
  | "/api/v1/nodes"
  | "/apis/networking.k8s.io/v1/servicecidrs";

export interface JsonMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly uid?: string;
  readonly resourceVersion?: string;
}
export interface JsonObject {
  readonly metadata: JsonMetadata;
  readonly [field: string]: unknown;
}

/** One change of one object. */
export interface Change {
  readonly version: number;
  /** Undefined when the object was created by this change. */
  readonly before: JsonObject | undefined;
  /** Undefined when it was deleted; `last` is then its last state, in a new version. */
  readonly after: JsonObject | undefined;
  readonly last: JsonObject;
}

export interface Collection {
  readonly kind: string;
  readonly apiVersion: string;
  readonly objects: Map<string, JsonObject>;
  history: Change[];
  /** Changes up to this version are forgotten. */
  forgottenTo: number;
  readonly listeners: Set<(change: Change) => void>;
}

/** What the API server of the tests holds: one version counter for all resources, and a history of each. */
export class ApiStore {
  /** As of the last change to anything. */
  version = 100;
  readonly collections: Readonly<Record<ApiPath, Collection>> = {
    "/api/v1/services": collection("Service", "v1"),
    "/apis/discovery.k8s.io/v1/endpointslices": collection("EndpointSlice", "discovery.k8s.io/v1"),
    "/api/v1/nodes": collection("Node", "v1"),
    "/apis/networking.k8s.io/v1/servicecidrs": collection("ServiceCIDR", "networking.k8s.io/v1"),
  };

  put(path: ApiPath, object: JsonObject): void {
    const { objects, kind, apiVersion } = this.collections[path];
    const version = ++this.version;
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    const after = { kind, apiVersion, ...object, metadata };
    const before = objects.get(keyOf(after));
    objects.set(keyOf(after), after);
    this.#record(path, { version, before, after, last: after });
  }

  delete(path: ApiPath, key: string): void {
    const { objects } = this.collections[path];
    const before = objects.get(key);
    if (before === undefined) return;
    const version = ++this.version;
    objects.delete(key);
    const last = { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } };
    this.#record(path, { version, before, after: undefined, last });
  }

  /** Takes over a change of another store, in its version. */
  follow(path: ApiPath, change: Change): void {
    const key = keyOf(change.last);
    if (change.after === undefined) this.collections[path].objects.delete(key);
    else this.collections[path].objects.set(key, change.after);
    this.version = change.version;
    this.#record(path, change);
  }

  /** As after a compaction and restart: nobody can watch from a version before this one. */
  forgetHistory(): void {
    for (const one of Object.values(this.collections)) {
      one.history = [];
      one.forgottenTo = this.version;
    }
  }

  /** As after restoring etcd from a backup: the same objects, but the counter is that much lower, and no history. */
  turnBack(versions: number): void {
    this.version = Math.max(1, this.version - versions);
    for (const one of Object.values(this.collections)) {
      for (const [key, object] of one.objects) {
        const metadata = { ...object.metadata, resourceVersion: String(Math.min(this.version, versionOf(object))) };
        one.objects.set(key, { ...object, metadata });
      }
    }
    this.forgetHistory();
  }

  #record(path: ApiPath, change: Change): void {
    const { history, listeners } = this.collections[path];
    history.push(change);
    for (const listener of [...listeners]) listener(change);
  }
}

/** "namespace/name", or the name of what has no namespace. */
export function keyOf(object: JsonObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

export function versionOf(object: JsonObject): number {
  return Number(object.metadata.resourceVersion);
}

function collection(kind: string, apiVersion: string): Collection {
  return { kind, apiVersion, objects: new Map(), history: [], forgottenTo: 0, listeners: new Set() };
}
