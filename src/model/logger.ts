export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Logs an event and its fields. error: an operator must act. warn: an operator may have to act. info: a few lines an
 * hour. debug: every change. An Error is the field `err`.
 */
export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
}
