import { writeFile } from "node:fs/promises";
import { type Problem, problemObjectText } from "../../../src/model/cluster/problem.ts";
import type { ClusterEvent } from "../../../src/services/cluster-event.ts";
import { ManifestReader } from "../../../src/sources/manifests/manifests.ts";
import { serviceObject } from "../objects/builders.ts";

/** A Service by its port, another one, and the first with a good port and a wrong one. */
export const web = (port = 80) => serviceObject("shop/web", { ports: [port] });
export const api = (port = 80) => serviceObject("shop/api", { ip: "10.96.0.11", ports: [port] });
export const brokenPort = (good: number) =>
  serviceObject("shop/web", {
    ports: [
      { name: "good", port: good },
      { name: "bad", port: 0 },
    ],
  });

/** Writes documents: objects as JSON, which is YAML too, texts as they are. */
export async function writeManifest(path: string, ...documents: readonly unknown[]): Promise<void> {
  const texts = documents.map((document) =>
    typeof document === "string" ? document : JSON.stringify(document, null, 2),
  );
  await writeFile(path, texts.join("\n---\n"));
}

/** An event in short: "+Service shop/web 80", "-EndpointSlice shop/web-1", "listed nodes". */
export function short(event: ClusterEvent): string {
  switch (event.kind) {
    case "service-upserted":
      return `+Service ${event.service.name} ${event.service.ports.map((port) => port.port).join(",")}`;
    case "slice-upserted":
      return `+EndpointSlice ${event.slice.name}`;
    case "node-upserted":
      return `+Node ${event.node.name}`;
    case "service-deleted":
      return `-Service ${event.name}`;
    case "slice-deleted":
      return `-EndpointSlice ${event.name}`;
    case "node-deleted":
      return `-Node ${event.name}`;
    case "servicecidr-upserted":
      return `+ServiceCIDR ${event.cidr.name} ${event.cidr.networks.map(({ text }) => text).join(",")}`;
    case "servicecidr-deleted":
      return `-ServiceCIDR ${event.name}`;
    case "listed":
      return `listed ${event.resource}`;
  }
}

/** The ends of all lists. */
export const LISTED = ["listed nodes", "listed servicecidrs", "listed endpointslices", "listed services"];

/** A problem in short. */
export const fault = ({ object, field, value, reason }: Problem) =>
  `${problemObjectText(object)}: ${field}=${value}: ${reason}`;

/** A source that remembers what it told since it was last asked. */
export class Listening {
  readonly source: ManifestReader;
  readonly logged: string[] = [];
  readonly #events: string[] = [];
  readonly #problems: { count: number; fresh: string[] }[] = [];

  constructor(path: string) {
    this.source = new ManifestReader(path, this);
  }

  /** A source that has read the folder once. */
  static async started(path: string): Promise<Listening> {
    const listening = new Listening(path);
    await listening.reread();
    listening.problems();
    return listening;
  }

  readonly onEvent = (event: ClusterEvent) => this.#events.push(short(event));
  readonly onProblems = (count: number, fresh: readonly Problem[]) =>
    this.#problems.push({ count, fresh: fresh.map(fault) });
  readonly logger = { debug: (fields: object) => this.logged.push(JSON.stringify(fields)) };

  async reread(): Promise<readonly string[]> {
    await this.source.reread();
    return this.#events.splice(0);
  }
  /** What onProblems was called with since the last time. */
  problems() {
    return this.#problems.splice(0);
  }
}
