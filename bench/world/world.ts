import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiServer } from "../../test/support/api/api-server.ts";
import { ClusterModel } from "../api/cluster-model.ts";
import { clusterIPOf, essentialOf, podIPOf, portsOf } from "../api/cluster-objects.ts";
import type { ClusterState } from "../api/cluster-state.ts";
import { testKubeconfig } from "../api/kubeconfig.ts";
import type { Expectation, Observer } from "../observer/observer.ts";
import type { Size } from "../report/size.ts";
import { newObserver, type SubjectSpec } from "../subjects/subject.ts";

/** Services that stand for all: when they are there, all are counted. */
const LEAST_SAMPLE = 200;
const ONE_IN = 50;
const COARSE_PAUSE_MS = 20;
export const NODE = { name: "node-0", address: "192.0.2.10" };

/** A cluster with its API server, and the kernel in which a proxy programs it, as seen from outside. One clock for both. */
export class World implements AsyncDisposable {
  readonly size: Size;
  readonly model: ClusterModel;
  readonly folder = mkdtempSync(join(tmpdir(), "kube-ipvs-bench-"));
  readonly observer: Observer;
  readonly #server: ApiServer;

  private constructor(size: Size, model: ClusterModel, server: ApiServer, observer: Observer) {
    this.size = size;
    this.model = model;
    this.#server = server;
    this.observer = observer;
    writeFileSync(this.kubeconfig, testKubeconfig(server.url));
  }

  static async start(size: Size, subject: SubjectSpec): Promise<World> {
    const model = new ClusterModel(size, NODE);
    return new World(size, model, await ApiServer.start(model), newObserver(subject));
  }

  get kubeconfig(): string {
    return join(this.folder, "kubeconfig");
  }

  get state(): ClusterState {
    return this.model.state;
  }

  /** What must hold for a Service as it is in the API now: one expectation for each port. */
  expectationsOf(
    index: number,
    changed?: { readonly present: readonly number[]; readonly absent: readonly number[] },
  ): Expectation[] {
    const present = changed?.present ?? this.state.podsOf(index);
    return portsOf(this.size, index).map(({ protocol, port, targetPort }) => ({
      protocol,
      address: clusterIPOf(index),
      port,
      served: true,
      present: present.map((pod) => `${podIPOf(pod)}:${targetPort}`),
      absent: (changed?.absent ?? []).map((pod) => `${podIPOf(pod)}:${targetPort}`),
    }));
  }

  /** What must hold when the Service is deleted. */
  gone(index: number): Expectation[] {
    return this.expectationsOf(index, { present: [], absent: [] }).map((expected) => ({ ...expected, served: false }));
  }

  /** Resolves with the time when all hold; rejects when they do not within the limit. `check` may throw before. */
  until(expectations: readonly Expectation[], limitMs: number, check: () => void = () => {}): Promise<number> {
    return this.#until(expectations, limitMs, check, () => this.observer.pauseMs);
  }

  /** As `until`, for what takes seconds: polls take a tenth of a CPU at most. */
  untilCoarse(expectations: readonly Expectation[], limitMs: number, check: () => void): Promise<number> {
    return this.#until(expectations, limitMs, check, (pollMs) => Math.max(COARSE_PAUSE_MS, 9 * pollMs));
  }

  async #until(
    expectations: readonly Expectation[],
    limitMs: number,
    check: () => void,
    pauseMs: (pollMs: number) => number,
  ): Promise<number> {
    const endMs = performance.now() + limitMs;
    let missing = expectations;
    for (;;) {
      const pollMs = performance.now();
      const held = await this.observer.holds(missing);
      missing = missing.filter((_, place) => held[place] !== true);
      const nowMs = performance.now();
      if (missing.length === 0) return nowMs;
      check();
      const [one] = missing;
      if (nowMs > endMs) {
        throw new Error(
          `after ${Math.round(limitMs / 1000)} s the kernel does not have the state of ${missing.length} of ${expectations.length} virtual servers, as ${one?.address}:${one?.port}`,
        );
      }
      await sleep(Math.max(pauseMs(nowMs - pollMs), nowMs - pollMs));
    }
  }

  /**
   * Resolves with the time when the kernel has the whole cluster. A random sample of Services is read one after the other, and
   * then all objects are counted. Reading all of them one by one would take CPU from the proxy. While some are missing, it
   * waits for others.
   */
  async untilAll(limitMs: number, check: () => void): Promise<number> {
    const endMs = performance.now() + limitMs;
    const most = Math.max(LEAST_SAMPLE, this.size.services / ONE_IN);
    const sample = randomSample([...this.state.services()], most);
    const expected = sample.flatMap((index) => this.expectationsOf(index));
    let atMs = await this.untilCoarse(randomSample(expected, most), limitMs, check);
    for (;;) {
      const wanted = this.#counts();
      const countMs = performance.now();
      const found = await this.observer.counts();
      if (found.servers >= wanted.servers && found.endpoints >= wanted.endpoints) return atMs;
      check();
      if (performance.now() > endMs) {
        throw new Error(
          `after ${Math.round(limitMs / 1000)} s the kernel has ${found.servers} of ${wanted.servers} virtual servers and ${found.endpoints} of ${wanted.endpoints} endpoints`,
        );
      }
      await sleep(Math.max(COARSE_PAUSE_MS, performance.now() - countMs));
      atMs = performance.now();
    }
  }

  #counts(): { readonly servers: number; readonly endpoints: number } {
    let servers = 0;
    let endpoints = 0;
    for (const index of this.state.services()) {
      const ports = portsOf(this.size, index);
      const targets = new Set(ports.map(({ targetPort }) => targetPort));
      servers += ports.length;
      endpoints += this.state.podsOf(index).length * (this.observer.countsOnce ? targets.size : ports.length);
    }
    return { servers, endpoints };
  }

  /** The two Services that others wait for. */
  get essential(): readonly number[] {
    return essentialOf(this.size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.observer.close();
    await this.#server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Items in random order, at most so many. */
export function randomSample<Item>(items: readonly Item[], most: number): readonly Item[] {
  const places = items.map((_, place) => place);
  for (let from = 0; from < Math.min(most, places.length); from++) {
    const other = from + Math.floor(Math.random() * (places.length - from));
    [places[from], places[other]] = [places[other] ?? 0, places[from] ?? 0];
  }
  return places.slice(0, most).flatMap((place) => items.slice(place, place + 1));
}
