import { once } from "node:events";
import { createGzip } from "node:zlib";
import { HEADERS, NOT_FOUND } from "../../test/support/api/answers.ts";
import type { ApiRequest, Reply } from "../../test/support/api/api-model.ts";
import { type ClusterSize, nodeJson, serviceJson, sliceJson } from "./cluster-objects.ts";

/**
 * The resourceVersion of the first object. Each object has its own, with as many digits as in a cluster of some age.
 */
const BORN = 734_000_000;

interface Resource {
  readonly listHead: string;
  readonly count: number;
  readonly json: (index: number) => string;
  readonly watchers: Set<Reply>;
}

/**
 * The API server of a large cluster. It generates each object on request and keeps only which slices were changed. It
 * supports LIST, WATCH and the WatchList stream, which a watching client needs.
 */
export class ClusterModel {
  readonly #resources: ReadonlyMap<string, Resource>;
  readonly #size: ClusterSize;
  readonly #changed = new Map<number, { readonly version: number; readonly generation: number }>();
  #version: number;

  constructor(size: ClusterSize, node: { readonly name: string; readonly address: string }) {
    this.#size = size;
    this.#version = BORN + size.services;
    const slices = (index: number) => this.#slice(index, "");
    this.#resources = new Map([
      ["/api/v1/services", resource("Service", "v1", size.services, (index) => serviceJson(index, BORN + index))],
      [
        "/apis/discovery.k8s.io/v1/endpointslices",
        resource("EndpointSlice", "discovery.k8s.io/v1", size.services, slices),
      ],
      ["/api/v1/nodes", resource("Node", "v1", 1, () => nodeJson(node.name, node.address))],
    ]);
  }

  handle({ path, query, acceptEncoding }: ApiRequest, reply: Reply): void {
    const resource = this.#resources.get(path);
    if (resource === undefined) {
      reply.head(NOT_FOUND.status, NOT_FOUND.headers);
      reply.write(Buffer.from(NOT_FOUND.body));
      reply.end();
      return;
    }
    if (query.get("watch") === "true") void this.#watch(resource, query.get("sendInitialEvents") === "true", reply);
    else void this.#list(resource, acceptEncoding.includes("gzip") ? compressed(reply) : reply);
  }

  /** Replaces the first endpoint of a Service by another, and sends the change to all watches. */
  change(index: number, generation: number, changedAt: string): void {
    this.#version++;
    this.#changed.set(index, { version: this.#version, generation });
    const line = Buffer.from(`{"type":"MODIFIED","object":${this.#slice(index, changedAt)}}\n`);
    for (const watcher of this.#resources.get("/apis/discovery.k8s.io/v1/endpointslices")?.watchers ?? []) {
      watcher.write(line);
    }
  }

  #slice(index: number, changedAt: string): string {
    const { version, generation } = this.#changed.get(index) ?? { version: BORN + index, generation: 0 };
    return sliceJson(index, this.#size.endpoints, version, generation, changedAt);
  }

  async #list({ count, json, listHead }: Resource, reply: Reply): Promise<void> {
    reply.head(200, HEADERS);
    reply.write(Buffer.from(`${listHead},"metadata":{"resourceVersion":"${this.#version}"},"items":[`));
    for (let index = 0; index < count; index++) {
      reply.write(Buffer.from(`${index === 0 ? "" : ","}${json(index)}`));
      await reply.drained();
    }
    reply.write(Buffer.from("]}\n"));
    reply.end();
  }

  async #watch({ count, json, watchers }: Resource, initial: boolean, reply: Reply): Promise<void> {
    reply.head(200, HEADERS);
    reply.onClose(() => watchers.delete(reply));
    if (initial) {
      for (let index = 0; index < count; index++) {
        reply.write(Buffer.from(`{"type":"ADDED","object":${json(index)}}\n`));
        await reply.drained();
      }
      const metadata = `{"resourceVersion":"${this.#version}","annotations":{"k8s.io/initial-events-end":"true"}}`;
      reply.write(Buffer.from(`{"type":"BOOKMARK","object":{"metadata":${metadata}}}\n`));
    }
    watchers.add(reply);
  }
}

function resource(kind: string, apiVersion: string, count: number, json: (index: number) => string): Resource {
  return { listHead: `{"kind":"${kind}List","apiVersion":"${apiVersion}"`, count, json, watchers: new Set() };
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
