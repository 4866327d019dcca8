import type { EventRecord } from "../../../src/model/cluster/event-record.ts";
import type { ProblemFields } from "../../../src/model/cluster/problem.ts";
import type { Logger } from "../../../src/model/logger.ts";
import { createLogger } from "../../../src/process/log.ts";

/** A line of the log as a program reads it. Of the fields these are read here, of the lines that have them. */
interface LogRecord {
  readonly level: string;
  readonly msg: string;
  readonly fields: Partial<ProblemFields> & { readonly failure?: string; readonly services?: readonly string[] };
}

/** Failures and problems that the log of an agent has begun and not ended. */
export interface Standing {
  /** Operations that fail, as `failing shop/web Cannot add …`, one line for each Service or for "node"; sorted. */
  readonly failing: readonly string[];
  readonly problems: readonly ProblemFields[];
}

/** What agents, one after the other, report to operators: log lines and Events. */
export class ScenarioReports {
  /** Of all agents; not taken yet. */
  #newLines: string[] = [];
  #newEvents: string[] = [];
  /** Of the agent that runs. */
  #records: LogRecord[] = [];

  /** For the agent that starts now. */
  loggerOfNext(): Logger {
    const records: LogRecord[] = [];
    this.#records = records;
    const write = (line: string): void => {
      const { level, msg, time: _, ...fields }: Record<string, unknown> = JSON.parse(line);
      const record = { level: String(level), msg: String(msg), fields };
      records.push(record);
      this.#newLines.push(lineOf(record));
    };
    return createLogger({ level: "info", format: "json" }, { write });
  }

  record({ type, reason, regarding: { kind, namespace, name }, note }: EventRecord): void {
    this.#newEvents.push(`${type} ${reason} ${kind} ${namespace === "" ? "" : `${namespace}/`}${name} ${note}`);
  }

  /** Lines logged since the last call, as `WARN operation failed failure="…" services=["shop/web"]`. */
  takeLines(): readonly string[] {
    const lines = this.#newLines;
    this.#newLines = [];
    return lines;
  }

  /** Events written since the last call, as `Warning FailedToProgram Service shop/web Cannot add …`. */
  takeEvents(): readonly string[] {
    const events = this.#newEvents;
    this.#newEvents = [];
    return events;
  }

  /** What an operator concludes to be still wrong from the log of the running agent. */
  standing(): Standing {
    const failing = new Map<string, readonly string[]>();
    const problems = new Map<string, ProblemFields>();
    for (const { msg, fields } of this.#records) {
      const { object = "", field = "", value = "", reason = "" } = fields;
      const problem = { object, field, value, reason };
      if (msg === "operation failed") failing.set(subjectOf(fields), failingLines(fields));
      if (msg === "operation no longer fails") failing.delete(subjectOf(fields));
      if (msg === "rejected") problems.set(identityOf(problem), problem);
      if (msg === "no longer rejected") problems.delete(identityOf(problem));
    }
    return { failing: [...failing.values()].flat().sort(), problems: [...problems.values()] };
  }
}

/** The identity of a problem. The owner of a frontend may change without a new report. */
export function identityOf({ object, field, value, reason }: ProblemFields): string {
  return JSON.stringify([object, field, value, field === "" ? "" : reason]);
}

/**
 * How lines differ from those that a scenario expects. A line matches a pattern if it has all parts between "…" in their order, the
 * first at its begin. Each occurs as often as it is expected; a line that begins with one of `always` must be expected.
 */
export function differences(
  expected: readonly string[],
  lines: readonly string[],
  always: readonly string[],
): readonly string[] {
  const counts = Map.groupBy(expected, (line) => line);
  const wrong = [...counts].flatMap(([pattern, { length: count }]) => {
    const found = lines.filter((line) => matches(line, pattern)).length;
    return found === count ? [] : [`${found} instead of ${count}: ${pattern}`];
  });
  const unexpected = lines.filter(
    (line) => always.some((begin) => line.startsWith(begin)) && !expected.some((pattern) => matches(line, pattern)),
  );
  return [...wrong, ...unexpected.map((line) => `not expected: ${line}`)];
}

function matches(line: string, pattern: string): boolean {
  const [begin = "", ...parts] = pattern.split("…");
  if (!line.startsWith(begin)) return false;
  let from = begin.length;
  for (const part of parts) {
    const at = line.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return true;
}

/** As the log for people has it, without the time. */
function lineOf({ level, msg, fields }: LogRecord): string {
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${level.toUpperCase()} ${msg}${pairs.join("")}`;
}

/** The object of a failure; a real server is part of its virtual server. */
function subjectOf({ failure = "" }: LogRecord["fields"]): string {
  const [, object = ""] = /^Cannot \w+ (.*?): [A-Z]/.exec(failure) ?? [];
  return object.replace(/^real server ".*" of /, "virtual server ");
}

function failingLines({ failure = "", services = [] }: LogRecord["fields"]): readonly string[] {
  return (services.length > 0 ? services : ["node"]).map((service) => `failing ${service} ${failure}`);
}
