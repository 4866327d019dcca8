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

/**
 * The error of a system call or of TLS, without any text of others: "connect ECONNREFUSED 10.0.0.1:6443", "getaddrinfo
 * ENOTFOUND api.example", "CERT_HAS_EXPIRED". The different ones of a name with several addresses.
 */
export function systemErrorOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return [...new Set(error.errors.map(systemErrorOf))].join(", ");
  if (!(error instanceof Error)) return "no connection in time";
  const { syscall, address, port, hostname } = error as SystemError;
  const where = address === undefined ? hostname : port === undefined ? address : `${address}:${port}`;
  return [syscall, codeOf(error) || "no connection", where].filter((text) => text !== undefined).join(" ");
}

/** The fields that Node.js adds to an error of a system call. */
interface SystemError extends Error {
  readonly syscall?: string;
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
}

/** The advice of Node.js about an unknown authority. It does not apply: the authorities of the system are used anyway. */
const NODE_ADVICE = /; if the root CA is installed locally, try running Node\.js with --use-system-ca$/;

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
