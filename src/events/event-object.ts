import { createHash } from "node:crypto";
import type { ObjectReference } from "../model/cluster/notice.ts";
import type { EventWrite } from "./event-book.ts";

const CONTROLLER = "kube-ipvs";
/** Limits of the API (pkg/apis/core/validation/events.go), in bytes. */
const LONGEST_NOTE = 1024;
const LONGEST_INSTANCE = 128;
/** With a dot and the digits of the hash no longer than the 253 of a name. */
const LONGEST_STEM = 236;

const API_VERSIONS: Readonly<Record<ObjectReference["kind"], string>> = {
  Service: "v1",
  EndpointSlice: "discovery.k8s.io/v1",
  Node: "v1",
};

/** The folder of the API in which Events about the object are kept; those about a Node are in "default". */
export function eventsPath({ namespace }: ObjectReference): string {
  return `/apis/events.k8s.io/v1/namespaces/${namespaceOf(namespace)}/events`;
}

/**
 * The name of the Event, the same for all writes of one series. All nodes find the same wrong with an object of the
 * cluster: they mean one Event, of whichever is first. What is wrong with a node is told anew each time that it begins.
 */
export function eventName({ notice, first }: EventWrite): string {
  const { regarding, type, reason, action, note } = notice;
  const said = [regarding.kind, regarding.namespace, regarding.name, type, reason, action, note];
  const identity = regarding.kind === "Node" ? [...said, first.getTime()] : said;
  const hash = createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 16);
  return `${regarding.name.slice(0, LONGEST_STEM).replace(/[-.]+$/, "")}.${hash}`;
}

/** The Event as JSON, told by the agent of this node. `uid` is of the object, "" when unknown. */
export function eventObject(write: EventWrite, nodeName: string, uid: string): object {
  const { type, reason, action, regarding, note } = write.notice;
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
    // A series of one is not valid.
    ...(write.count > 1 ? seriesPatch(write) : {}),
  };
}

/** The part of an Event that may change. */
export function seriesPatch({ count, last }: EventWrite): object {
  return { series: { count, lastObservedTime: microTime(last) } };
}

function namespaceOf(namespace: string): string {
  return namespace === "" ? "default" : namespace;
}

/** RFC 3339 with six digits of a second, which the API's MicroTime demands. */
function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}

/** No longer than so many bytes of UTF-8, cut between characters. */
function clipped(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const end = "…";
  // Cut in the middle of a character, its bytes decode to U+FFFD.
  const head = Buffer.from(text).subarray(0, bytes - Buffer.byteLength(end));
  return `${head.toString("utf8").replace(/\uFFFD+$/, "")}${end}`;
}
