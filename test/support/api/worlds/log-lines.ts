import type { LogFields, Logger } from "../../../../src/model/logger.ts";

/** Keeps lines of at least level info, as "WARN message". */
export class LogLines implements Logger {
  readonly lines: string[] = [];
  /** The fields of each line. */
  readonly fields: LogFields[] = [];

  error(fields: LogFields, message: string): void {
    this.#add("ERROR", fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#add("WARN", fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#add("INFO", fields, message);
  }

  debug(): void {}

  #add(level: string, fields: LogFields, message: string): void {
    this.lines.push(`${level} ${message}`);
    this.fields.push(fields);
  }
}
