import type { ApiModel } from "../api-model.ts";
import type { ApiStore, JsonObject } from "../store.ts";
import { apiService } from "./reported-cluster.ts";
import type { Edit } from "./watch-script.ts";

const SERVICES = "/api/v1/services";
const FOREIGN = { "service.kubernetes.io/service-proxy-name": "" };

/** Carries out an edit, in a revision that shows as the number of the port. */
export function editService(store: ApiStore, { kind, name }: Edit, revision: number): void {
  const service = apiService(name, revision);
  switch (kind) {
    case "put":
      store.put(SERVICES, service);
      return;
    case "make-headless":
      store.put(SERVICES, apiService(name, revision, { clusterIP: "None", clusterIPs: ["None"] }));
      return;
    case "make-foreign":
      store.put(SERVICES, { ...service, metadata: { ...service.metadata, labels: FOREIGN } });
      return;
    case "delete":
      store.delete(SERVICES, `demo/${name}`);
  }
}

/** Names and revisions of what a proxy should serve, read off the raw objects. */
export function servedServices(model: ApiModel): ReadonlyMap<string, number> {
  const objects = [...model.store.collections[SERVICES].objects];
  return new Map(objects.flatMap(([key, object]) => (isServed(object) ? [[key, revisionOf(object)] as const] : [])));
}

function isServed(object: JsonObject): boolean {
  const foreign = object.metadata.labels?.["service.kubernetes.io/service-proxy-name"] !== undefined;
  return !foreign && !JSON.stringify(object).includes('"None"');
}

function revisionOf(object: JsonObject): number {
  return Number(/"port":(\d+)/.exec(JSON.stringify(object))?.[1]);
}
