import type { EventRecord, RegardingObject } from "../model/cluster/event-record.ts";
import type { Logger } from "../model/logger.ts";
import { Backoff } from "../model/time/backoff.ts";
import type { Clock } from "../model/time/clock.ts";
import { LimitedWait } from "../model/time/limited-wait.ts";
import { RECONNECT } from "../sources/api/recovery.ts";
import { type ApiStatus, statusOfAnswer } from "../sources/api/transport/api-status.ts";
import { bodyText } from "../sources/api/transport/body-text.ts";
import { reasonOf } from "../sources/api/transport/reason.ts";
import type { ApiRequest, ApiResponse, WritingTransport } from "../sources/api/transport/transport.ts";
import { field } from "../sources/decode/object-reader.ts";
import {
  EVENT_LIMITS,
  EventCorrelator,
  type EventCounts,
  type EventWrite,
  type WriteOutcome,
} from "./event-correlator.ts";
import { eventName, eventObject, eventsPath, seriesPatch } from "./event-object.ts";

const ANSWER_MS = 15_000;
const MAX_REFUSAL_BYTES = 65_536;
/** The size limit of an object in the API server, rounded up. */
const MAX_OBJECT_BYTES = 4 * 1024 * 1024;

const COLLECTIONS: Readonly<Record<Exclude<RegardingObject["kind"], "Node">, readonly [string, string]>> = {
  Service: ["/api/v1", "services"],
  EndpointSlice: ["/apis/discovery.k8s.io/v1", "endpointslices"],
};

export interface EventRecorderDependencies {
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/**
 * Writes Events (events.k8s.io/v1), one request at a time, at the rate that EventCorrelator allows. Callers never wait for a
 * write. A failed write is counted and logged, and the writer goes on.
 */
export class EventRecorder {
  readonly #nodeName: string;
  readonly #dependencies: EventRecorderDependencies;
  readonly #correlator: EventCorrelator;
  readonly #backoff: Backoff;
  #woken = new AbortController();
  #isRunning = false;
  /** Called when no event can be written now. */
  readonly #onIdle: (() => void)[] = [];

  constructor(nodeName: string, dependencies: EventRecorderDependencies) {
    this.#nodeName = nodeName;
    this.#dependencies = dependencies;
    this.#correlator = new EventCorrelator(EVENT_LIMITS, dependencies.random);
    this.#backoff = new Backoff(RECONNECT, dependencies.random);
  }

  get counts(): EventCounts {
    return this.#correlator.counts;
  }

  /** Queues an event. Events that come before `run` wait for it. */
  record(event: EventRecord): void {
    const { clock } = this.#dependencies;
    this.#correlator.add(event, clock.now(), clock.date());
    this.#woken.abort();
  }

  /** Writes queued events until the signal is aborted. Events that are queued then are not written. */
  async run(transport: WritingTransport, signal: AbortSignal): Promise<void> {
    const { clock } = this.#dependencies;
    const stop = () => this.#woken.abort();
    signal.addEventListener("abort", stop);
    this.#isRunning = true;
    while (!signal.aborted) {
      this.#woken = new AbortController();
      const next = this.#correlator.next(clock.now());
      if (typeof next !== "number") await this.#write(next, transport, signal);
      else {
        this.#rest();
        await clock.sleep(next - clock.now(), this.#woken.signal);
      }
    }
    this.#isRunning = false;
    this.#rest();
    signal.removeEventListener("abort", stop);
  }

  /** Resolves when all events were written that may be written now, or after `limitMs`. */
  async written(limitMs: number): Promise<void> {
    if (!this.#isRunning) return;
    const idle = new AbortController();
    this.#onIdle.push(() => idle.abort());
    this.#woken.abort();
    await this.#dependencies.clock.sleep(limitMs, idle.signal);
  }

  #rest(): void {
    for (const done of this.#onIdle.splice(0)) done();
  }

  async #write(write: EventWrite, transport: WritingTransport, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#dependencies;
    const status = await this.#attempt(write, transport, signal);
    if (signal.aborted) return;
    const outcome = outcomeOf(write.kind, status.code);
    this.#correlator.settle(write, outcome, clock.now());
    if (outcome === "refused") logger.warn({ ...write.record, ...status }, "the API server rejected an Event");
    if (outcome !== "lost") return;
    logger.debug({ ...write.record, ...status }, "cannot write an Event; will retry");
    await clock.sleep(Math.max(this.#backoff.next(clock.now()), status.retryAfterMs), signal);
  }

  /** Sends the request and returns the status of the response, with code 0 if there is no response in time. */
  async #attempt(write: EventWrite, transport: WritingTransport, signal: AbortSignal): Promise<ApiStatus> {
    const attempt = new LimitedWait(signal, new Error("no response in time"));
    void attempt.atMost(ANSWER_MS, this.#dependencies.clock);
    try {
      const response = await transport.send(await this.#request(write, transport, attempt.signal), attempt.signal);
      const text = await bodyText(response, MAX_REFUSAL_BYTES, attempt.signal);
      return statusOfAnswer(response.status, response.retryAfterMs, text);
    } catch (error) {
      return statusOfAnswer(0, 0, reasonOf(error));
    } finally {
      attempt.end();
    }
  }

  async #request(write: EventWrite, transport: WritingTransport, signal: AbortSignal): Promise<ApiRequest> {
    const path = eventsPath(write.record.regarding);
    switch (write.kind) {
      case "create": {
        const uid = await uidOf(write.record.regarding, transport, signal);
        const body = JSON.stringify(eventObject(write, this.#nodeName, uid));
        return { method: "POST", path, contentType: "application/json", body };
      }
      case "repeat": {
        const body = JSON.stringify(seriesPatch(write));
        return {
          method: "PATCH",
          path: `${path}/${eventName(write)}`,
          contentType: "application/merge-patch+json",
          body,
        };
      }
    }
  }
}

/**
 * Reads the uid of an object, by which `kubectl describe` finds its Events; "" if the object does not exist. The request
 * is a list with a field selector, so that the permissions "list" and "watch" are enough. The server answers it from its
 * cache (resourceVersion=0).
 */
async function uidOf(
  { kind, namespace, name }: RegardingObject,
  transport: WritingTransport,
  signal: AbortSignal,
): Promise<string> {
  // The kubelet uses the name of a Node as the uid in its Events, and kubectl searches for it.
  if (kind === "Node") return name;
  const [api, collection] = COLLECTIONS[kind];
  const query = new URLSearchParams({ fieldSelector: `metadata.name=${name}`, resourceVersion: "0" });
  const path = `${api}/namespaces/${namespace}/${collection}?${query}`;
  return uidIn(await transport.get(path, signal), signal);
}

async function uidIn(response: ApiResponse, signal: AbortSignal): Promise<string> {
  const text = await bodyText(response, MAX_OBJECT_BYTES, signal);
  if (response.status !== 200) return "";
  const items = field(JSON.parse(text), "items");
  const uid = Array.isArray(items) ? field(field(items[0], "metadata"), "uid") : undefined;
  return typeof uid === "string" ? uid : "";
}

function outcomeOf(kind: EventWrite["kind"], code: number): WriteOutcome {
  if (code >= 200 && code < 300) return "done";
  if (code === 409) return kind === "create" ? "known" : "lost";
  if (code === 404 && kind === "repeat") return "gone";
  return code === 0 || code === 401 || code === 408 || code === 429 || code >= 500 ? "lost" : "refused";
}
