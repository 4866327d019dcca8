import { OutageLog } from "../../../../src/sources/api/outage/outage-log.ts";
import { Reflector } from "../../../../src/sources/api/reflector.ts";
import { watchedServices } from "../../../../src/sources/api/resources.ts";
import { randomFrom } from "../../hostile/random.ts";
import { ApiModel } from "../api-model.ts";
import { Replication } from "../replication.ts";
import { editService, servedServices } from "./edited-services.ts";
import { HandClock, settle } from "./hand-clock.ts";
import { type Fault, ModelTransport } from "./model-transport.ts";
import { ReportedCluster } from "./reported-cluster.ts";
import { SILENT_LOGGER } from "./silent-logger.ts";
import type { Act, Edit, WatchScript } from "./watch-script.ts";

/** Longer than the longest wait between two requests: one reaches a server that does not lag. */
const CATCH_UP_MS = 70_000;

/** Plays a script to its end and lets things calm down. What must not be, in words; empty when all is right. */
export async function runWatchScript(script: WatchScript): Promise<readonly string[]> {
  const stage = new Stage(script);
  for (const one of script.acts) {
    await stage.perform(one);
    await settle();
  }
  return await stage.finish();
}

class Stage {
  readonly #clock = new HandClock();
  readonly #first = new ApiModel(this.#clock);
  readonly #second = new ApiModel(this.#clock);
  readonly #replication = new Replication(this.#first.store, this.#second.store);
  readonly #transport = new ModelTransport(this.#first, this.#second);
  readonly #faults: (Fault | undefined)[] = [];
  /** The revision that each Service had when it last went, by the first server. */
  readonly #removed = new Map<string, number>();
  readonly #told = new ReportedCluster((service, revision) => revision <= (this.#removed.get(service) ?? 0));
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #revision = 0;

  constructor({ watchList, pageItems, knowsField, pieceBytes, seed }: WatchScript) {
    const unknownFields = knowsField ? [] : ["spec.clusterIP"];
    for (const { behaviour } of [this.#first, this.#second])
      Object.assign(behaviour, { watchList, pageItems, unknownFields });
    this.#transport.pieceBytes = pieceBytes;
    this.#transport.fault = () => this.#faults.shift();
    const shared = { clock: this.#clock, logger: SILENT_LOGGER };
    const outages = new OutageLog(shared);
    const parts = { ...shared, transport: this.#transport, handler: this.#told, random: randomFrom(seed), outages };
    this.#running = new Reflector(watchedServices(), parts).run(this.#stop.signal);
  }

  async perform(one: Act): Promise<void> {
    switch (one.kind) {
      case "put":
      case "make-foreign":
      case "make-headless":
      case "delete":
        this.#edit(one);
        return;
      case "pass":
        await this.#clock.advance(one.ms);
        return;
      case "break":
        this.#endWatches(one.how);
        this.#faults.push(...one.faults);
        return;
      case "outage":
        this.#endWatches("reset");
        for (const hidden of one.edits) this.#edit(hidden);
        if (one.forgets) this.#forget();
        this.#faults.push(...one.faults);
        await this.#clock.advance(3000);
        return;
      case "move":
        this.#transport.move();
        return;
      case "hold":
        this.#replication.hold();
        return;
      case "release":
        this.#replication.release(one.count);
        return;
      case "fail-over":
        await this.#failOver(one);
    }
  }

  async #failOver(one: Act & { readonly kind: "fail-over" }): Promise<void> {
    this.#replication.hold();
    for (const seen of one.edits) {
      this.#edit(seen);
      await settle();
    }
    if (one.expires) {
      this.#first.endWatches("end");
      this.#edit({ kind: "put", name: "a" });
      this.#first.store.forgetHistory();
      // The watch that is refused comes before them.
      this.#faults.push(undefined, ...one.faults);
    }
    await this.#clock.advance(one.crashAfterMs);
    this.#transport.crash(this.#first);
    await this.#clock.advance(one.lagMs);
    if (one.firstReturns) this.#transport.start(this.#first);
    else this.#replication.release();
    await this.#clock.advance(CATCH_UP_MS);
    this.#transport.start(this.#first);
  }

  async finish(): Promise<readonly string[]> {
    this.#faults.length = 0;
    this.#replication.release();
    // Longer than the longest watch, the longest backoff and a probe together.
    await this.#clock.advance(1_500_000);
    const findings = [...this.#told.faults, ...differences(this.#told.services, servedServices(this.#first))];
    if (!this.#told.listed.has("services")) findings.push("never listed");
    this.#stop.abort();
    await this.#running;
    const before = this.#told.events.length;
    this.#edit({ kind: "put", name: "a" });
    await this.#clock.advance(1_000_000);
    if (this.#told.events.length > before) findings.push("told after the stop");
    const watches = this.#first.openWatches + this.#second.openWatches;
    if (watches > 0) findings.push(`${watches} watches left open after the stop`);
    if (this.#clock.sleeping > 0) findings.push(`${this.#clock.sleeping} timers left after the stop`);
    return findings;
  }

  #edit(one: Edit): void {
    const key = `demo/${one.name}`;
    const before = servedServices(this.#first).get(key);
    editService(this.#first.store, one, ++this.#revision);
    if (before !== undefined && !servedServices(this.#first).has(key)) this.#removed.set(key, before);
  }

  #endWatches(how: "end" | "reset"): void {
    this.#first.endWatches(how);
    this.#second.endWatches(how);
  }

  #forget(): void {
    this.#first.store.forgetHistory();
    this.#second.store.forgetHistory();
  }
}

function differences(told: ReadonlyMap<string, number>, served: ReadonlyMap<string, number>): readonly string[] {
  return [...new Set([...told.keys(), ...served.keys()])]
    .filter((key) => told.get(key) !== served.get(key))
    .map((key) => `${key} is told as ${told.get(key)} and is ${served.get(key)}`);
}
