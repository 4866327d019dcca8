/**
 * The reason of an error as text. A connection to a name with several addresses fails with an AggregateError without a
 * message: its reason is the list of the different reasons of its parts. For another error without a message, the reason
 * is its code or name.
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

/** The advice of Node.js about an unknown authority. It does not apply: the authorities of the system are used anyway. */
const NODE_ADVICE = /; if the root CA is installed locally, try running Node\.js with --use-system-ca$/;

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
