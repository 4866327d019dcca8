/**
 * Why something failed, for people. A name with several addresses fails with an AggregateError, whose own message is empty:
 * its reasons are those of its parts, each once. Other errors without a message are known by their code or name.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = error instanceof AggregateError ? [...new Set(error.errors.map(reasonOf))].join(", ") : "";
  return [error.message, parts].filter((text) => text !== "").join(": ") || codeOf(error) || error.name;
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
