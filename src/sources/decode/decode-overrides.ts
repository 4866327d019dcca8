import { NO_OVERRIDES, type ServiceOverrides } from "../../model/cluster/service.ts";
import type { SchedulerFlag } from "../../model/kernel/ipvs.ts";
import {
  namedFlags,
  parseScheduler,
  SCHEDULERS,
  type Scheduling,
  usualScheduling,
} from "../../model/kernel/scheduler.ts";
import { parseDurationMs } from "../../model/time/duration.ts";
import { annotationPath, annotationsOf, type JsonObject, type ObjectReader, stringOf } from "./object-reader.ts";

/** The prefix of our annotations; the API reserves a prefix for the owner of its domain. */
export const PREFIX = "kube-ipvs.io/";

const SCHEDULER = `${PREFIX}scheduler`;
const SCHEDULER_FLAGS = `${PREFIX}scheduler-flags`;
const ONE_PACKET = `${PREFIX}one-packet`;
const DRAIN_TIMEOUT = `${PREFIX}drain-timeout`;

/** The corresponding annotation of kube-router. Ours takes precedence if both are set. */
const KUBE_ROUTER_SCHEDULER = "kube-router.io/service.scheduler";

/** An annotation that is used, as documented in docs/configuration.md. */
export interface Annotation {
  readonly name: string;
  readonly value: string;
  readonly effect: string;
}

/** The annotations of a Service. */
export const OVERRIDE_ANNOTATIONS: readonly Annotation[] = [
  {
    name: SCHEDULER,
    value: `a scheduler: ${SCHEDULERS.join(", ")}`,
    effect: "The scheduler of the Service, instead of `--ipvs-scheduler`",
  },
  {
    name: SCHEDULER_FLAGS,
    value: 'comma list of `sh-fallback`, `sh-port` (sh), `mh-fallback`, `mh-port` (mh); `""` for none',
    effect: `The flags of the scheduler in \`${SCHEDULER}\`, instead of \`mh-port\` for mh and none for the others`,
  },
  {
    name: ONE_PACKET,
    value: "`true` or `false`",
    effect: "Each UDP datagram goes to the next endpoint. Without it each UDP client port keeps its endpoint",
  },
  {
    name: DRAIN_TIMEOUT,
    value: "a duration; `0s` cuts connections",
    effect: "How long a removed TCP endpoint may keep its connections, instead of `--drain-timeout`",
  },
  {
    name: KUBE_ROUTER_SCHEDULER,
    value: `as \`${SCHEDULER}\``,
    effect: `The scheduler of the Service. \`${SCHEDULER}\` takes precedence`,
  },
];

const KNOWN = OVERRIDE_ANNOTATIONS.map(({ name }) => name).filter((name) => name.startsWith(PREFIX));

/**
 * Reads the annotations of a Service. Invalid values and unknown annotations with our prefix, which are probably
 * misspelt, are rejected and ignored.
 */
export function readOverrides(reader: ObjectReader, service: JsonObject): ServiceOverrides {
  const annotations = annotationsOf(service);
  rejectUnknown(reader, annotations, KNOWN);
  const scheduling = readScheduling(reader, annotations);
  const onePacket = readOnePacket(reader, annotations);
  const drainTimeoutMs = readDrainTimeout(reader, annotations);
  const chosen = scheduling !== undefined || onePacket || drainTimeoutMs !== undefined;
  return chosen ? { scheduling, onePacket, drainTimeoutMs } : NO_OVERRIDES;
}

/** Rejects annotations with our prefix that are not in `known`. */
export function rejectUnknown(reader: ObjectReader, annotations: JsonObject, known: readonly string[]): void {
  for (const name of Object.keys(annotations)) {
    if (!name.startsWith(PREFIX) || known.includes(name)) continue;
    reader.reject(annotationPath(name), annotations[name], `is unknown: must be one of ${known.join(", ")}`);
  }
}

function readScheduling(reader: ObjectReader, annotations: JsonObject): Scheduling | undefined {
  const name = SCHEDULER in annotations ? SCHEDULER : KUBE_ROUTER_SCHEDULER;
  const text = textOf(annotations, name);
  const flags = textOf(annotations, SCHEDULER_FLAGS);
  const scheduler = text === undefined ? undefined : parseScheduler(text);
  if (text !== undefined && scheduler === undefined) {
    reader.reject(annotationPath(name), text, `must be one of ${SCHEDULERS.join(", ")}`);
  }
  if (scheduler === undefined) {
    if (flags !== undefined) reader.reject(annotationPath(SCHEDULER_FLAGS), flags, `needs a valid ${SCHEDULER}`);
    return undefined;
  }
  if (flags === undefined) return usualScheduling(scheduler);
  return { scheduler, flags: readFlags(reader, scheduler, flags) };
}

/** Reads the flags of a scheduler. The empty text means no flags, which for mh differs from an absent annotation. */
function readFlags(reader: ObjectReader, scheduler: Scheduling["scheduler"], text: string): readonly SchedulerFlag[] {
  const known = namedFlags(scheduler);
  const words = text === "" ? [] : text.split(",").map((word) => word.trim());
  const flags = known.filter((flag) => words.includes(flag)).sort();
  if (words.every((word) => known.some((flag) => flag === word))) return flags;
  const reason =
    known.length === 0
      ? `must be empty: scheduler ${scheduler} has no flags`
      : `must be a comma list of ${known.join(", ")}`;
  reader.reject(annotationPath(SCHEDULER_FLAGS), text, reason);
  return usualScheduling(scheduler).flags;
}

function readOnePacket(reader: ObjectReader, annotations: JsonObject): boolean {
  const text = textOf(annotations, ONE_PACKET);
  if (text !== undefined && text !== "true" && text !== "false") {
    reader.reject(annotationPath(ONE_PACKET), text, "must be true or false");
  }
  return text === "true";
}

function readDrainTimeout(reader: ObjectReader, annotations: JsonObject): number | undefined {
  const text = textOf(annotations, DRAIN_TIMEOUT);
  if (text === undefined) return undefined;
  let problem: string | undefined;
  const ms = parseDurationMs(text, (found) => {
    problem = found;
  });
  if (problem === undefined) return ms;
  reader.reject(annotationPath(DRAIN_TIMEOUT), text, problem);
  return undefined;
}

function textOf(annotations: JsonObject, name: string): string | undefined {
  const value = annotations[name] ?? undefined;
  return value === undefined ? undefined : stringOf(value).trim();
}
