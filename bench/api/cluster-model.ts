import { once } from "node:events";
import { createGzip } from "node:zlib";
import { HEADERS, NOT_FOUND } from "../../test/support/api/answers.ts";
import type { ApiRequest, Reply } from "../../test/support/api/api-model.ts";
import { type ClusterSize, nodeJson } from "./cluster-objects.ts";
import { type ClusterEvent, ClusterState } from "./cluster-state.ts";

interface Resource {
  readonly kind: string;
  readonly apiVersion: string;
  readonly objects: () => Iterable<string>;
  /** The open watches; the lines that wait until the first objects are sent, or undefined when they are. */
  readonly watchers: Map<Reply, string[] | undefined>;
}

/** Collections that other proxies watch and that this cluster has no objects of. */
const EMPTY: readonly (readonly [path: string, kind: string, apiVersion: string])[] = [
  ["/api/v1/pods", "Pod", "v1"],
  ["/api/v1/namespaces", "Namespace", "v1"],
  ["/api/v1/endpoints", "Endpoints", "v1"],
  ["/apis/networking.k8s.io/v1/networkpolicies", "NetworkPolicy", "networking.k8s.io/v1"],
  ["/apis/networking.k8s.io/v1/servicecidrs", "ServiceCIDR", "networking.k8s.io/v1"],
];

/**
 * The API server of a large cluster, in JSON. It supports LIST, WATCH and the WatchList stream, a GET of its only Node, and
 * Events, which are accepted and forgotten.
 */
export class ClusterModel {
  readonly state: ClusterState;
  /** Called for every request. */
  onRequest: (request: ApiRequest) => void = () => {};
  readonly #resources: ReadonlyMap<string, Resource>;
  readonly #node: string;
  readonly #nodePath: string;

  constructor(size: ClusterSize, node: { readonly name: string; readonly address: string }) {
    this.state = new ClusterState(size, (event) => this.#send(event));
    this.#node = nodeJson(node.name, node.address);
    this.#nodePath = `/api/v1/nodes/${node.name}`;
    const { state } = this;
    this.#resources = new Map([
      [
        "/api/v1/services",
        resource("Service", "v1", () => mapped(state.services(), (index) => [state.serviceJson(index)])),
      ],
      [
        "/apis/discovery.k8s.io/v1/endpointslices",
        resource("EndpointSlice", "discovery.k8s.io/v1", () =>
          mapped(state.services(), (index) => state.slicesOf(index)),
        ),
      ],
      ["/api/v1/nodes", resource("Node", "v1", () => [this.#node])],
      ...EMPTY.map(([path, kind, apiVersion]) => [path, resource(kind, apiVersion, () => [])] as const),
    ]);
  }

  handle(request: ApiRequest, reply: Reply): void {
    const { path, query, acceptEncoding } = request;
    this.onRequest(request);
    const found = this.#resources.get(path);
    if (found !== undefined && query.get("watch") === "true") void this.#watch(found, query, reply);
    else if (found !== undefined) void this.#list(found, acceptEncoding.includes("gzip") ? compressed(reply) : reply);
    else if (path === this.#nodePath) answer(reply, 200, this.#node);
    else if (path.endsWith("/events") && request.body !== "") answer(reply, 201, request.body);
    else answer(reply, NOT_FOUND.status, NOT_FOUND.body);
  }

  #send({ type, resource: name, json }: ClusterEvent): void {
    const path = name === "services" ? "/api/v1/services" : "/apis/discovery.k8s.io/v1/endpointslices";
    const line = `{"type":"${type}","object":${json}}\n`;
    const bytes = Buffer.from(line);
    for (const [watcher, waiting] of this.#resources.get(path)?.watchers ?? []) {
      if (waiting === undefined) watcher.write(bytes);
      else waiting.push(line);
    }
  }

  async #list({ kind, apiVersion, objects }: Resource, reply: Reply): Promise<void> {
    reply.head(200, HEADERS);
    const version = this.state.version;
    const head = `{"kind":"${kind}List","apiVersion":"${apiVersion}","metadata":{"resourceVersion":"${version}"},"items":[`;
    reply.write(Buffer.from(head));
    let isFirst = true;
    for (const json of objects()) {
      reply.write(Buffer.from(`${isFirst ? "" : ","}${json}`));
      isFirst = false;
      await reply.drained();
    }
    reply.write(Buffer.from("]}\n"));
    reply.end();
  }

  async #watch({ kind, apiVersion, objects, watchers }: Resource, query: URLSearchParams, reply: Reply): Promise<void> {
    reply.head(200, HEADERS);
    reply.onClose(() => watchers.delete(reply));
    if (query.get("sendInitialEvents") !== "true") {
      watchers.set(reply, undefined);
      return;
    }
    const waiting: string[] = [];
    watchers.set(reply, waiting);
    for (const json of objects()) {
      reply.write(Buffer.from(`{"type":"ADDED","object":${json}}\n`));
      await reply.drained();
    }
    const metadata = `{"resourceVersion":"${this.state.version}","annotations":{"k8s.io/initial-events-end":"true"}}`;
    const bookmark = `{"type":"BOOKMARK","object":{"kind":"${kind}","apiVersion":"${apiVersion}","metadata":${metadata}}}\n`;
    reply.write(Buffer.from(`${bookmark}${waiting.join("")}`));
    if (watchers.has(reply)) watchers.set(reply, undefined);
  }
}

function* mapped(indexes: Iterable<number>, texts: (index: number) => Iterable<string>): Generator<string> {
  for (const index of indexes) yield* texts(index);
}

function resource(kind: string, apiVersion: string, objects: () => Iterable<string>): Resource {
  return { kind, apiVersion, objects, watchers: new Map() };
}

function answer(reply: Reply, status: number, body: string): void {
  reply.head(status, HEADERS);
  reply.write(Buffer.from(body));
  reply.end();
}

/**
 * Compresses the reply as kube-apiserver compresses lists above 128 KiB, if the client accepts it; watches are not
 * compressed.
 */
function compressed(reply: Reply): Reply {
  const gzip = createGzip({ level: 1 });
  gzip.on("data", (bytes: Uint8Array) => reply.write(bytes));
  gzip.on("end", () => reply.end());
  return {
    ...reply,
    head: (status, headers) => reply.head(status, { ...headers, "content-encoding": "gzip" }),
    write: (bytes) => void gzip.write(bytes),
    drained: async () => {
      if (gzip.writableNeedDrain) await once(gzip, "drain");
      await reply.drained();
    },
    end: () => void gzip.end(),
  };
}
