import type { Problem } from "../../../src/model/cluster/problem.ts";
import type { Clock } from "../../../src/model/time/clock.ts";
import type { ClusterEvent } from "../../../src/services/cluster-event.ts";
import { ProblemLog } from "../../../src/sources/api/problem-log.ts";
import {
  type WatchedResource,
  watchedNode,
  watchedServiceCIDRs,
  watchedServices,
  watchedSlices,
} from "../../../src/sources/api/resources.ts";
import type { ApiObject } from "../../../src/sources/api/stream/watch-event.ts";
import { type EventHandler, WatchCache } from "../../../src/sources/api/watch-cache.ts";
import { field, identityOf } from "../../../src/sources/decode/object-reader.ts";

/** The objects of a cluster by kind and name, each in its latest version. */
export class ScenarioCluster {
  readonly #objects = new Map<string, ApiObject>();
  #version = 0;

  /** The objects, in the order in which they came. */
  objects(): readonly ApiObject[] {
    return [...this.#objects.values()];
  }

  /** Takes in an object as JSON; returns it in its new version. */
  put(object: unknown): ApiObject {
    const versioned = this.#versioned(object);
    this.#objects.set(keyOf(versioned), versioned);
    return versioned;
  }

  /** Takes an object away; returns it as the server shows it last. */
  remove(object: unknown): ApiObject {
    const versioned = this.#versioned(object);
    this.#objects.delete(keyOf(versioned));
    return versioned;
  }

  #versioned(object: unknown): ApiObject {
    const { namespace = "", name = "" } = identityOf(object) ?? {};
    return { namespace, name, resourceVersion: String(++this.#version), object };
  }
}

/** Where what a source of objects tells goes: an agent. */
export interface SourceListener {
  accept(event: ClusterEvent): void;
  reject(count: number, fresh: readonly Problem[]): void;
}

/** Tells an agent of the objects of a cluster as its source for API servers does, but without server and network. */
export class ScenarioSource {
  readonly #caches: readonly KindCache[];
  readonly #problems = new Map<string, readonly Problem[]>();
  readonly #everRejected: Problem[] = [];
  readonly #inForce = new Map<string, ClusterEvent>();
  /** Settles when the signal is aborted. Rejects when the listener throws. */
  readonly finished: Promise<void>;

  /** Tells all there is, and from then on what changes. */
  constructor(nodeName: string, cluster: ScenarioCluster, listener: SourceListener, signal: AbortSignal) {
    const log = new ProblemLog();
    this.finished = log.run(AT_ONCE, signal, (count, fresh) => listener.reject(count, fresh));
    const handler: EventHandler = {
      onEvent: (event) => {
        this.#note(event);
        listener.accept(event);
      },
      onProblems: (object, problems) => {
        this.#problems.set(object, problems);
        this.#everRejected.push(...problems);
        log.record(object, problems);
      },
    };
    this.#caches = [
      cacheOf(watchedNode(nodeName), handler),
      cacheOf(watchedServiceCIDRs(), handler),
      cacheOf(watchedSlices(), handler),
      cacheOf(watchedServices(), handler),
    ];
    for (const { cache, kind } of this.#caches) {
      cache.beginList();
      for (const object of cluster.objects()) if (kindOf(object) === kind) cache.upsert(object);
      cache.completeList();
    }
  }

  /** The object is there in this version. */
  put(object: ApiObject): void {
    this.#cacheOf(object).upsert(object);
  }

  /** The object is gone. */
  remove(object: ApiObject): void {
    this.#cacheOf(object).delete(object);
  }

  /** Events of what was told and still holds, in the order in which it came. */
  inForce(): readonly ClusterEvent[] {
    return [...this.#inForce.values()];
  }

  /** What is wrong with the objects there are. */
  problems(): readonly Problem[] {
    return [...this.#problems.values()].flat();
  }

  /** What is wrong with them, and what was. */
  everRejected(): readonly Problem[] {
    return this.#everRejected;
  }

  #cacheOf(object: ApiObject): KindCache["cache"] {
    const found = this.#caches.find(({ kind }) => kind === kindOf(object));
    if (found === undefined) throw new Error(`The agent reads no objects of the kind ${kindOf(object)}`);
    return found.cache;
  }

  #note(event: ClusterEvent): void {
    switch (event.kind) {
      case "service-upserted":
        this.#inForce.set(`Service ${event.service.name}`, event);
        return;
      case "slice-upserted":
        this.#inForce.set(`EndpointSlice ${event.slice.name}`, event);
        return;
      case "node-upserted":
        this.#inForce.set(`Node ${event.node.name}`, event);
        return;
      case "servicecidr-upserted":
        this.#inForce.set(`ServiceCIDR ${event.cidr.name}`, event);
        return;
      case "service-deleted":
        this.#inForce.delete(`Service ${event.name}`);
        return;
      case "slice-deleted":
        this.#inForce.delete(`EndpointSlice ${event.name}`);
        return;
      case "node-deleted":
        this.#inForce.delete(`Node ${event.name}`);
        return;
      case "servicecidr-deleted":
        this.#inForce.delete(`ServiceCIDR ${event.name}`);
        return;
      case "listed":
        return;
    }
  }
}

/** No problem waits for others: no time passes in a scenario but where a step says so. */
const AT_ONCE: Clock = { now: () => 1, date: () => new Date(0), sleep: async () => {} };

interface KindCache {
  readonly kind: string;
  readonly cache: Pick<WatchCache<string, unknown>, "beginList" | "completeList" | "upsert" | "delete">;
}

function cacheOf<Name extends string, Value>(resource: WatchedResource<Name, Value>, handler: EventHandler): KindCache {
  return { kind: resource.kind, cache: new WatchCache(resource, handler) };
}

function kindOf({ object }: ApiObject): string {
  return String(field(object, "kind"));
}

function keyOf(object: ApiObject): string {
  return `${kindOf(object)} ${object.namespace}/${object.name}`;
}
