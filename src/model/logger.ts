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
