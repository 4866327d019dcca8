import pino from "pino";
import type { Logger } from "../model/logger.ts";
import { printable } from "../model/value-text.ts";
import type { Output } from "./standard-output.ts";

export type LogLevel = "error" | "warn" | "info" | "debug";

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "text" | "json";
}

/** Takes whole lines, as process.stdout does. */
export interface LogOutput {
  write(line: string): unknown;
  /** Whether too much waits to be written; then lines are lost, and their number is logged when there is room again. */
  isFull?(): boolean;
}

/** The level for klog's verbosity: 4 is where Kubernetes components begin to tell each change. */
export function levelOf(verbosity: number): LogLevel {
  return verbosity >= 4 ? "debug" : "info";
}

/**
 * A logger that writes JSON lines (`time` in ISO 8601, `level` as a word, `msg`) or the same as text for people. Nothing in a
 * line moves the cursor of a terminal or turns the direction of text: JSON alone escapes neither DEL nor U+202E.
 */
export function createLogger(options: LogOptions, output: LogOutput): Logger {
  const format = options.format === "json" ? (line: string) => line.trimEnd() : textLine;
  let lost = 0;
  const write = (line: string): void => {
    if (output.isFull?.() === true) {
      lost += 1;
      return;
    }
    const lines = lost;
    lost = 0;
    if (lines > 0) logger.warn({ lines }, "lines of the log are lost: its reader was too slow");
    output.write(`${printable(format(line))}\n`);
  };
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    { write },
  );
  return logger;
}

/** `2026-11-21T04:15:43.123Z WARN  real server refused key="TCP/10.96.0.1:80" errno="EEXIST"` */
function textLine(json: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(json);
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${time} ${String(level).toUpperCase().padEnd(5)} ${msg}${pairs.join("")}`;
}

/** For commands whose output is not a log: only what someone must act on. */
export function quietLogger(output: Output): Logger {
  return createLogger({ level: "error", format: "text" }, { write: output.err });
}
