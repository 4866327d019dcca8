import pino from "pino";
import { explanation } from "../model/explanation.ts";
import type { Logger } from "../model/logger.ts";
import { printable } from "../model/value-text.ts";
import { RepeatedLines } from "./repeated-lines.ts";
import type { Output } from "./standard-output.ts";

export type LogLevel = "error" | "warn" | "info" | "debug";

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "text" | "json";
  /** The time in ms, by which warnings that repeat are counted instead of logged; absent: each is logged. */
  readonly now?: () => number;
}

/** A logger whose level can be changed. */
export interface LeveledLogger extends Logger {
  level: string;
}

/** Receives whole lines, as process.stdout does. */
export interface LogOutput {
  write(line: string): unknown;
  /**
   * Whether too many bytes wait to be written; then lines are dropped, and their number is logged when there is room
   * again.
   */
  isFull?(): boolean;
}

/** Returns the level for a verbosity of klog: at 4 Kubernetes components begin to log each change. */
export function levelOf(verbosity: number): LogLevel {
  return verbosity >= 4 ? "debug" : "info";
}

/**
 * Returns a logger that writes JSON lines (`time` in ISO 8601, `level` as a word, `msg`) or the same as plain text. The field
 * `err` is the message of an error with those of its causes, and its stack trace only at the level debug (-v 4), because it is for developers. No
 * character in a line moves the cursor of a terminal or changes the direction of text; JSON alone escapes neither DEL
 * nor U+202E.
 */
export function createLogger(options: LogOptions, output: LogOutput): LeveledLogger {
  const format = options.format === "json" ? (line: string) => line.trimEnd() : textLine;
  let lost = 0;
  const write = (line: string): void => {
    if (output.isFull?.() === true) {
      lost += 1;
      return;
    }
    const lines = lost;
    lost = 0;
    if (lines > 0) logger.warn({ lines }, "log lines were dropped, because the reader of the log was too slow");
    output.write(`${printable(format(line))}\n`);
  };
  const logger = pino(
    {
      ...(options.now !== undefined && { hooks: countingRepetitions(options.now) }),
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: {
        err: (error: unknown) =>
          logger.level === "debug" ? pino.stdSerializers.err(asError(error)) : explanation(error),
      },
    },
    { write },
  );
  return logger;
}

/** Counts warnings and errors that repeat instead of logging them. */
function countingRepetitions(now: () => number): NonNullable<pino.LoggerOptions["hooks"]> {
  const repeated = new RepeatedLines();
  return {
    logMethod(args, method, level): void {
      if (level === INFO_LEVEL) repeated.endSilence();
      if (level < WARN_LEVEL) {
        method.apply(this, args);
        return;
      }
      // The type of `Logger` has fields and a message.
      const [fields, message] = args as readonly unknown[] as readonly [object, string];
      const decision = repeated.decide(keyOf(level, fields, message), now());
      if (!decision.logged) return;
      method.call(this, { ...fields, ...(decision.repeated > 0 && { repeated: decision.repeated }) }, message);
    },
  };
}

/** Levels of pino. */
const INFO_LEVEL = 30;
const WARN_LEVEL = 40;

/** All of a line but its time. An error counts by its message. */
function keyOf(level: number, fields: object, message: string): string {
  const text = JSON.stringify(fields, (_name, value: unknown) => {
    if (value instanceof Error) return explanation(value);
    return typeof value === "bigint" ? String(value) : value;
  });
  return `${level} ${message} ${text}`;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Formats a line: `2026-11-21T04:15:43.123Z WARN real server refused key="TCP/10.96.0.1:80" errno="EEXIST"` */
function textLine(json: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(json);
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${time} ${String(level).toUpperCase().padEnd(5)} ${msg}${pairs.join("")}`;
}

/** Returns a logger for commands whose output is not a log: it writes errors only. */
export function quietLogger(output: Output): Logger {
  return createLogger({ level: "error", format: "text" }, { write: output.err });
}
