import { createHash } from "node:crypto";
import type { RegardingObject } from "../model/cluster/event-record.ts";
import type { EventWrite } from "./event-correlator.ts";

const CONTROLLER = "kube-ipvs";
/** The longest note that the API accepts, in bytes (pkg/apis/core/validation/events.go). */
const LONGEST_NOTE = 1024;
/** The longest `reportingInstance` that the API accepts, in bytes. */
const LONGEST_INSTANCE = 128;
/** The longest start of a name: a name has at most 253 characters, of which the dot and the hash take 17. */
const LONGEST_STEM = 236;

const API_VERSIONS: Readonly<Record<RegardingObject["kind"], string>> = {
  Service: "v1",
  EndpointSlice: "discovery.k8s.io/v1",
  Node: "v1",
};

/** The API path of the Events about the object. Events about a Node are in the namespace "default". */
export function eventsPath({ namespace }: RegardingObject): string {
  return `/apis/events.k8s.io/v1/namespaces/${namespaceOf(namespace)}/events`;
}

/**
 * The name of the Event, the same for all writes of one series. All nodes derive the same name for the same problem of a
 * Service or EndpointSlice: the first node creates the Event, and the others find that it exists. The name of an Event
 * about a Node contains the time of its beginning, so that each new occurrence is a new Event.
 */
export function eventName({ record: event, first }: EventWrite): string {
  const { regarding, type, reason, action, note } = event;
  const content = [regarding.kind, regarding.namespace, regarding.name, type, reason, action, note];
  const identity = regarding.kind === "Node" ? [...content, first.getTime()] : content;
  const hash = createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 16);
  return `${regarding.name.slice(0, LONGEST_STEM).replace(/[-.]+$/, "")}.${hash}`;
}

/** The Event as a JSON object, reported by the agent of `nodeName`. `uid` is the uid of the object, "" if unknown. */
export function eventObject(write: EventWrite, nodeName: string, uid: string): object {
  const { type, reason, action, regarding, note } = write.record;
  const { kind, namespace, name } = regarding;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: eventName(write), namespace: namespaceOf(namespace) },
    eventTime: microTime(write.first),
    reportingController: CONTROLLER,
    reportingInstance: clipped(`${CONTROLLER}-${nodeName}`, LONGEST_INSTANCE),
    type,
    reason,
    action,
    regarding: {
      apiVersion: API_VERSIONS[kind],
      kind,
      ...(namespace === "" ? {} : { namespace }),
      name,
      ...(uid === "" ? {} : { uid }),
    },
    note: clipped(note, LONGEST_NOTE),
    // The API rejects a series with a count of 1.
    ...(write.count > 1 ? seriesPatch(write) : {}),
  };
}

/** The merge patch that updates the series of an Event. The API allows no change of other fields. */
export function seriesPatch({ count, last }: EventWrite): object {
  return { series: { count, lastObservedTime: microTime(last) } };
}

function namespaceOf(namespace: string): string {
  return namespace === "" ? "default" : namespace;
}

/** The date in RFC 3339 with microseconds, as the type MicroTime of the API requires. */
function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}

/** The text, cut between characters if it has more than `bytes` bytes in UTF-8. */
function clipped(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const end = "…";
  // The bytes of a character that is cut in the middle decode to U+FFFD.
  const head = Buffer.from(text).subarray(0, bytes - Buffer.byteLength(end));
  return `${head.toString("utf8").replace(/\uFFFD+$/, "")}${end}`;
}
