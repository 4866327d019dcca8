import { type Answer, answered, NOT_FOUND, refusal } from "./answers.ts";
import type { Route } from "./routes.ts";

/** An Event of events.k8s.io/v1, as far as a client writes it. */
export interface ApiEvent {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly type: string;
  readonly reason: string;
  readonly action: string;
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
    readonly uid?: string;
  };
  readonly note: string;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

const FIELDS = [
  ...["apiVersion", "kind", "metadata", "eventTime", "series", "reportingController", "reportingInstance"],
  ...["action", "reason", "regarding", "related", "note", "type"],
];
const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** The Events that were written, by namespace and name, and what the real server demands of them. */
export class EventRegistry {
  readonly events = new Map<string, ApiEvent>();
  /** Writes that were accepted. */
  writes = 0;

  /** As when their time is over. */
  expire(): void {
    this.events.clear();
  }

  answer(route: Route, contentType: string, body: string): Answer {
    switch (route.verb) {
      case "create":
        return this.#create(route, contentType, body);
      case "patch":
        return this.#patch(route, contentType, body);
      default:
        return refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
    }
  }

  #create(route: Route, contentType: string, body: string): Answer {
    if (contentType !== "application/json") return unsupported(contentType);
    const event: ApiEvent = JSON.parse(body);
    const faults = faultsOf(event, route.namespace);
    if (faults.length > 0) return invalid(event, faults);
    const key = `${route.namespace}/${event.metadata.name}`;
    if (this.events.has(key)) {
      const message = `events.events.k8s.io "${event.metadata.name}" already exists`;
      return refusal(409, "AlreadyExists", message, { details: { name: event.metadata.name, group: route.group } });
    }
    return this.#keep(key, event, 201);
  }

  #patch(route: Route, contentType: string, body: string): Answer {
    if (contentType !== "application/merge-patch+json") return unsupported(contentType);
    const key = `${route.namespace}/${route.name}`;
    const before = this.events.get(key);
    if (before === undefined) return NOT_FOUND;
    const event: ApiEvent = { ...before, ...JSON.parse(body) };
    const { series: _now, ...now } = event;
    const { series: _then, ...then } = before;
    const faults = faultsOf(event, route.namespace);
    if (JSON.stringify(now) !== JSON.stringify(then)) faults.push("only the series may change");
    if (faults.length > 0) return invalid(event, faults);
    return this.#keep(key, event, 200);
  }

  #keep(key: string, event: ApiEvent, code: number): Answer {
    this.writes++;
    this.events.set(key, event);
    return answered(code, event);
  }
}

/** The rules of validateV1EventSeries and validateEvent for new Events (pkg/apis/core/validation/events.go). */
function faultsOf(event: ApiEvent, namespace: string): string[] {
  const { metadata, regarding, series } = event;
  const unknown = Object.keys(event).filter((field) => !FIELDS.includes(field));
  const rules: readonly (readonly [string, boolean])[] = [
    [`unknown fields: ${unknown}`, unknown.length === 0],
    ["apiVersion and kind", event.apiVersion === "events.k8s.io/v1" && event.kind === "Event"],
    ["metadata.name must be a DNS subdomain", DNS_SUBDOMAIN.test(metadata.name)],
    ["metadata.namespace must be that of the request", metadata.namespace === namespace],
    ["regarding.namespace must be that of the Event", (regarding.namespace ?? "default") === namespace],
    ["regarding must name an object", regarding.kind !== "" && regarding.name !== ""],
    ["eventTime must be a MicroTime", MICRO_TIME.test(event.eventTime)],
    [
      "reportingController must be a qualified name",
      /^[a-z0-9A-Z]([-\w.]*[a-z0-9A-Z])?$/.test(event.reportingController),
    ],
    ["reportingInstance must have 1 to 128 bytes", isBetween(event.reportingInstance, 1, 128)],
    ["action must have 1 to 128 bytes", isBetween(event.action, 1, 128)],
    ["reason must have 1 to 128 bytes", isBetween(event.reason, 1, 128)],
    ["note can have at most 1024 bytes", isBetween(event.note, 0, 1024)],
    ["type must be Normal or Warning", ["Normal", "Warning"].includes(event.type)],
    ["series.count must be at least 2", series === undefined || series.count >= 2],
    ["series.lastObservedTime must be a MicroTime", series === undefined || MICRO_TIME.test(series.lastObservedTime)],
  ];
  return rules.filter(([, holds]) => !holds).map(([rule]) => rule);
}

function isBetween(text: string, least: number, most: number): boolean {
  const bytes = Buffer.byteLength(text);
  return bytes >= least && bytes <= most;
}

function invalid({ metadata }: ApiEvent, faults: readonly string[]): Answer {
  return refusal(422, "Invalid", `Event.events.k8s.io "${metadata.name}" is invalid: ${faults.join(", ")}`);
}

function unsupported(contentType: string): Answer {
  return refusal(415, "UnsupportedMediaType", `the body of the request was in an unknown format: ${contentType}`);
}
