import pino from "pino";

export type LogLevel = "error" | "warn" | "info" | "debug";
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * An event and its fields. error: someone must act. warn: may need someone. info: a handful an hour. debug: every
 * change. An Error goes under `err`.
 */
export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "text" | "json";
}

/** Takes whole lines, as process.stdout does. */
export interface LogOutput {
  write(line: string): unknown;
}

/** The level for klog's verbosity: 4 is where Kubernetes components begin to tell each change. */
export function levelOf(verbosity: number): LogLevel {
  return verbosity >= 4 ? "debug" : "info";
}

/** A logger that writes JSON lines (`time` in ISO 8601, `level` as a word, `msg`) or the same as text for people. */
export function createLogger(options: LogOptions, output: LogOutput): Logger {
  const lines: LogOutput = options.format === "json" ? output : { write: (line) => output.write(textLine(line)) };
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    { write: (line) => void lines.write(line) },
  );
}

/** `2026-11-21T04:15:43.123Z WARN  real server refused key="TCP/10.96.0.1:80" errno="EEXIST"` */
function textLine(json: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(json);
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${time} ${String(level).toUpperCase().padEnd(5)} ${msg}${pairs.join("")}\n`;
}
