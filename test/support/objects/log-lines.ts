import type { LogFields, Logger } from "../../../src/model/logger.ts";

/** Adds a line for each call to `lines`, as `warn node preparation failed {"warning":"…"}`; an Error becomes its messages. */
export function logLines(lines: string[]): Logger {
  const line = (level: string) => (fields: LogFields, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields, (_, value) => textOf(value))}`);
  };
  return { error: line("error"), warn: line("warn"), info: line("info"), debug: () => {} };
}

function textOf(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return value.cause === undefined ? value.message : `${value.message}: ${textOf(value.cause)}`;
}
