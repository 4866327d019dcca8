import type { Problem } from "../../../../src/model/cluster/problem.ts";
import type { ClusterEvent, Resource } from "../../../../src/services/cluster-event.ts";
import type { EventHandler } from "../../../../src/sources/api/watch-cache.ts";
import type { JsonObject } from "../store.ts";

/** What a source has told, and in which order. Services are known by the number of their first port: their revision. */
export class ReportedCluster implements EventHandler {
  readonly services = new Map<string, number>();
  readonly events: string[] = [];
  readonly problems: Problem[] = [];
  readonly listed = new Set<Resource>();
  /** Things that must never happen, found while listening. */
  readonly faults: string[] = [];
  /** The latest revision of each Service, those that are gone included. */
  readonly #latest = new Map<string, number>();
  readonly #mayGo: (name: string, revision: number) => boolean;

  /** `mayGo` says whether a Service was removed in this revision or a later one; by default any may be. */
  constructor(mayGo: (name: string, revision: number) => boolean = () => true) {
    this.#mayGo = mayGo;
  }

  onEvent(event: ClusterEvent): void {
    switch (event.kind) {
      case "service-upserted":
        this.#upsert(event.service.name, event.service.ports[0]?.port ?? 0);
        return;
      case "service-deleted":
        this.#delete(event.name);
        return;
      case "listed":
        if (this.listed.has(event.resource)) this.faults.push(`${event.resource} listed twice`);
        this.listed.add(event.resource);
        this.events.push(`listed ${event.resource}`);
        return;
      case "slice-upserted":
        this.events.push(`+slice ${event.slice.name}`);
        return;
      case "slice-deleted":
        this.events.push(`-slice ${event.name}`);
        return;
      case "node-upserted":
        this.events.push(`+node ${event.node.name}`);
        return;
      case "node-deleted":
        this.events.push(`-node ${event.name}`);
        return;
      case "servicecidr-upserted":
        this.events.push(`+cidr ${event.cidr.name}`);
        return;
      case "servicecidr-deleted":
        this.events.push(`-cidr ${event.name}`);
        return;
    }
  }

  onProblems(_object: string, problems: readonly Problem[]): void {
    this.problems.push(...problems);
  }

  #upsert(name: string, revision: number): void {
    const known = this.#latest.get(name) ?? 0;
    if (revision < known) this.faults.push(`${name} went back from ${known} to ${revision}`);
    else if (revision === known && !this.services.has(name))
      this.faults.push(`${name} came back in revision ${revision}`);
    this.#latest.set(name, Math.max(known, revision));
    this.services.set(name, revision);
    this.events.push(`${name}=${revision}`);
  }

  #delete(name: string): void {
    const revision = this.services.get(name);
    if (revision === undefined) this.faults.push(`${name} deleted but never told`);
    else if (!this.#mayGo(name, revision)) this.faults.push(`${name} deleted in revision ${revision}, which is there`);
    this.services.delete(name);
    this.events.push(`-${name}`);
  }
}

/** A Service as the API stores it. */
export function apiService(name: string, revision: number, spec: Readonly<Record<string, unknown>> = {}): JsonObject {
  return {
    metadata: { namespace: "demo", name, labels: { app: name } },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.0.10",
      clusterIPs: ["10.96.0.10"],
      ports: [{ port: revision, protocol: "TCP" }],
      ...spec,
    },
    status: { loadBalancer: {} },
  };
}
