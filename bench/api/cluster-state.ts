import { type ClusterSize, FIRST_NEW_POD, nodeOf, type SliceState, serviceJson, sliceJson } from "./cluster-objects.ts";

/** The resourceVersion of the first object: as many digits as in a cluster of some age. */
const BORN = 734_000_000;
/** As kube-controller-manager divides endpoints. */
const PODS_PER_SLICE = 100;

/** What happened to an object, as a watch reports it. */
export interface ClusterEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly resource: "services" | "endpointslices";
  readonly json: string;
}

/**
 * The objects of a large cluster. They are generated when they are read; only what differs from the first state is kept.
 * Services 0 to `services` - 1 exist at first; others can be added.
 */
export class ClusterState {
  readonly size: ClusterSize;
  readonly #pods = new Map<number, readonly number[]>();
  readonly #versions = new Map<string, number>();
  readonly #added = new Set<number>();
  readonly #onEvent: (event: ClusterEvent) => void;
  #nextPod = FIRST_NEW_POD;
  #version: number;

  /** `onEvent` receives every change. */
  constructor(size: ClusterSize, onEvent: (event: ClusterEvent) => void) {
    this.size = size;
    this.#version = BORN + size.services;
    this.#onEvent = onEvent;
  }

  /** The resourceVersion of the last change. */
  get version(): number {
    return this.#version;
  }

  /** Numbers of all Services. */
  *services(): Generator<number> {
    for (let index = 0; index < this.size.services; index++) yield index;
    yield* this.#added;
  }

  /** Numbers of the pods of a Service, without those that were removed. */
  podsOf(index: number): readonly number[] {
    const { services, endpoints } = this.size;
    if (index >= services && !this.#added.has(index)) return [];
    return this.#pods.get(index) ?? Array.from({ length: endpoints }, (_, place) => index * endpoints + place);
  }

  /** Numbers of pods that no Service had before. */
  newPods(count: number): readonly number[] {
    return Array.from({ length: count }, () => this.#nextPod++);
  }

  serviceJson(index: number): string {
    return serviceJson(this.size, index, this.#versions.get(`s${index}`) ?? BORN + index);
  }

  *slicesOf(index: number): Generator<string> {
    for (const slice of this.#slices(index, "")) yield sliceJson(this.size, slice);
  }

  /** Sets the pods of a Service; reports the slices that differ. */
  setPods(index: number, pods: readonly number[]): void {
    const before = chunksOf(this.podsOf(index));
    this.#pods.set(index, pods);
    const changed = chunksOf(pods).flatMap((chunk, number) => (sameNumbers(chunk, before[number]) ? [] : [number]));
    this.#version++;
    for (const number of changed) this.#versions.set(`e${index}/${number}`, this.#version);
    const changedAt = new Date().toISOString();
    for (const slice of this.#slices(index, changedAt)) {
      if (!changed.includes(slice.chunk)) continue;
      const type = slice.chunk < before.length ? "MODIFIED" : "ADDED";
      this.#onEvent({ type, resource: "endpointslices", json: sliceJson(this.size, slice) });
    }
    for (const [chunk, gone] of before.entries()) {
      if (chunk < chunksOf(pods).length) continue;
      const slice = { index, chunk, pods: gone, resourceVersion: this.#version, generation: 2, changedAt };
      this.#onEvent({ type: "DELETED", resource: "endpointslices", json: sliceJson(this.size, slice) });
    }
  }

  /** Replaces the first pod of a Service by one that no Service had before; returns both. */
  replacePod(index: number): { readonly added: number; readonly removed: number } {
    const [removed = -1, ...others] = this.podsOf(index);
    const [added = -1] = this.newPods(1);
    this.setPods(index, [added, ...others]);
    return { added, removed };
  }

  /** Adds a Service with new pods; its number must not be in use. */
  addService(index: number, pods: number): void {
    this.#added.add(index);
    this.#pods.set(index, this.newPods(pods));
    this.#version++;
    this.#versions.set(`s${index}`, this.#version);
    for (const chunk of chunksOf(this.podsOf(index)).keys()) this.#versions.set(`e${index}/${chunk}`, this.#version);
    this.#onEvent({ type: "ADDED", resource: "services", json: this.serviceJson(index) });
    for (const json of this.slicesOf(index)) this.#onEvent({ type: "ADDED", resource: "endpointslices", json });
  }

  /** Deletes a Service that was added. */
  deleteService(index: number): void {
    this.#version++;
    this.#versions.set(`s${index}`, this.#version);
    for (const chunk of chunksOf(this.podsOf(index)).keys()) this.#versions.set(`e${index}/${chunk}`, this.#version);
    const slices = [...this.slicesOf(index)];
    this.#onEvent({ type: "DELETED", resource: "services", json: this.serviceJson(index) });
    for (const json of slices) this.#onEvent({ type: "DELETED", resource: "endpointslices", json });
    this.#added.delete(index);
    this.#pods.delete(index);
  }

  /** The Services that have pods on a node, with these pods. */
  onNode(node: number): ReadonlyMap<number, readonly number[]> {
    const found = new Map<number, readonly number[]>();
    for (const index of this.services()) {
      const pods = this.podsOf(index).filter((pod) => nodeOf(this.size, pod) === node);
      if (pods.length > 0) found.set(index, pods);
    }
    return found;
  }

  *#slices(index: number, changedAt: string): Generator<SliceState> {
    for (const [chunk, pods] of chunksOf(this.podsOf(index)).entries()) {
      const changed = this.#versions.get(`e${index}/${chunk}`);
      const generation = changed === undefined ? 1 : 2;
      yield { index, chunk, pods, resourceVersion: changed ?? BORN + index, generation, changedAt };
    }
  }
}

/** One list at least: a Service without pods has an empty slice. */
function chunksOf(pods: readonly number[]): readonly (readonly number[])[] {
  const count = Math.max(1, Math.ceil(pods.length / PODS_PER_SLICE));
  return Array.from({ length: count }, (_, chunk) => pods.slice(chunk * PODS_PER_SLICE, (chunk + 1) * PODS_PER_SLICE));
}

function sameNumbers(a: readonly number[], b: readonly number[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((pod, place) => pod === b[place]);
}
