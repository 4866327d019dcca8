import type { Clock } from "../model/clock.ts";
import type { Notice, ObjectReference } from "../model/cluster/notice.ts";
import type { Logger } from "../model/logger.ts";
import { type ApiStatus, statusOfAnswer } from "../sources/api/transport/api-status.ts";
import { Backoff, RECONNECT } from "../sources/api/transport/backoff.ts";
import { bodyText } from "../sources/api/transport/body-text.ts";
import { reasonOf } from "../sources/api/transport/reason.ts";
import type { ApiRequest, ApiResponse, WritingTransport } from "../sources/api/transport/transport.ts";
import { field } from "../sources/decode/object-reader.ts";
import { EVENT_LIMITS, EventBook, type EventCounts, type EventWrite, type WriteOutcome } from "./event-book.ts";
import { eventName, eventObject, eventsPath, seriesPatch } from "./event-object.ts";

const ANSWER_MS = 15_000;
const MAX_REFUSAL_BYTES = 65_536;
/** No object of the API is larger. */
const MAX_OBJECT_BYTES = 4 * 1024 * 1024;

const COLLECTIONS: Readonly<Record<Exclude<ObjectReference["kind"], "Node">, readonly [string, string]>> = {
  Service: ["/api/v1", "services"],
  EndpointSlice: ["/apis/discovery.k8s.io/v1", "endpointslices"],
};

export interface EventWriterParts {
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/**
 * Writes Events (events.k8s.io/v1), one request at a time, as often as the book allows. Nobody ever waits for it, and
 * whatever happens to an Event is counted and no reason to stop.
 */
export class EventWriter {
  readonly #nodeName: string;
  readonly #parts: EventWriterParts;
  readonly #book: EventBook;
  readonly #backoff: Backoff;
  #woken = new AbortController();

  constructor(nodeName: string, parts: EventWriterParts) {
    this.#nodeName = nodeName;
    this.#parts = parts;
    this.#book = new EventBook(EVENT_LIMITS, parts.random);
    this.#backoff = new Backoff(RECONNECT, parts.random);
  }

  get counts(): EventCounts {
    return this.#book.counts;
  }

  /** To be told when its turn comes; until `run` it waits. */
  tell(notice: Notice): void {
    const { clock } = this.#parts;
    this.#book.add(notice, clock.now(), clock.date());
    this.#woken.abort();
  }

  /** Writes what there is to tell until the signal is aborted. What waits by then is never told. */
  async run(transport: WritingTransport, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const stop = () => this.#woken.abort();
    signal.addEventListener("abort", stop);
    while (!signal.aborted) {
      this.#woken = new AbortController();
      const next = this.#book.next(clock.now());
      if (typeof next === "number") await clock.sleep(next - clock.now(), this.#woken.signal);
      else await this.#write(next, transport, signal);
    }
    signal.removeEventListener("abort", stop);
  }

  async #write(write: EventWrite, transport: WritingTransport, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#parts;
    const status = await this.#attempt(write, transport, signal);
    if (signal.aborted) return;
    const outcome = outcomeOf(write.kind, status.code);
    this.#book.settle(write, outcome, clock.now());
    if (outcome === "refused") logger.warn({ ...write.notice, ...status }, "the API server refuses an Event");
    if (outcome !== "lost") return;
    logger.debug({ ...write.notice, ...status }, "an Event could not be written; it is tried again");
    await clock.sleep(Math.max(this.#backoff.next(clock.now()), status.retryAfterMs), signal);
  }

  /** What the server said; code 0 when it said nothing in time. */
  async #attempt(write: EventWrite, transport: WritingTransport, signal: AbortSignal): Promise<ApiStatus> {
    const over = new AbortController();
    const end = () => over.abort(new Error("no answer in time"));
    signal.addEventListener("abort", end);
    void this.#parts.clock.sleep(ANSWER_MS, over.signal).then(end);
    try {
      const response = await transport.send(await this.#request(write, transport, over.signal), over.signal);
      const text = await bodyText(response, MAX_REFUSAL_BYTES, over.signal);
      return statusOfAnswer(response.status, response.retryAfterMs, text);
    } catch (error) {
      return statusOfAnswer(0, 0, reasonOf(error));
    } finally {
      signal.removeEventListener("abort", end);
      end();
    }
  }

  async #request(write: EventWrite, transport: WritingTransport, signal: AbortSignal): Promise<ApiRequest> {
    const path = eventsPath(write.notice.regarding);
    switch (write.kind) {
      case "create": {
        const uid = await uidOf(write.notice.regarding, transport, signal);
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
 * By which `kubectl describe` finds the Events of an object. It is asked for when it is needed, as a list of one, for
 * which no other right is needed, from the server's cache; "" when there is no such object any more.
 */
async function uidOf(
  { kind, namespace, name }: ObjectReference,
  transport: WritingTransport,
  signal: AbortSignal,
): Promise<string> {
  // The kubelet's way, which kubectl knows.
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
