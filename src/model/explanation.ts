/** The message of an error, followed by the messages of its causes. */
export function explanation(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${explanation(error.cause)}`;
}
