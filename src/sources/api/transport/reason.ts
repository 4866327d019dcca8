/**
 * Why something failed, for people. A name with several addresses fails with an AggregateError, whose own message is empty:
 * its reasons are those of its parts, each once. Other errors without a message are known by their code or name.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = error instanceof AggregateError ? [...new Set(error.errors.map(reasonOf))].join(", ") : "";
  return (
    [error.message.replace(NODE_ADVICE, ""), parts].filter((text) => text !== "").join(": ") ||
    codeOf(error) ||
    error.name
  );
}

/** Node says so of a certificate that nobody vouches for, to whoever can give it flags. The system's authorities are used anyway. */
const NODE_ADVICE = /; if the root CA is installed locally, try running Node\.js with --use-system-ca$/;

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
