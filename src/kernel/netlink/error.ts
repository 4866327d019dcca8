import { constants } from "node:os";
import { type Errno, errnoNamed } from "../../model/kernel/errno.ts";
import { KernelError } from "../../model/kernel/kernel-error.ts";

/** Second names of numbers on Linux; the kernel sources use the other name. */
const ALIASES = new Set(["EWOULDBLOCK", "ENOTSUP", "EDEADLOCK"]);

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => !ALIASES.has(name))
    .map(([name, errno]) => [errno, name]),
);

/** Returns "EEXIST" for 17, and "E1234" for a number without a name. */
export function errnoName(errno: number): Errno {
  return errnoNamed(NAMES.get(errno) ?? `E${errno}`);
}

/** A request that could not be sent, was not answered, or was refused where the caller does not expect a refusal. */
export class NetlinkError extends KernelError {
  override readonly name = "NetlinkError";
  /** The operation that failed, as a verb phrase: "list virtual servers". */
  readonly operation: string;
  /** Symbolic: "ETIMEDOUT" if no answer came, "ENOBUFS" if answers were lost, "EBADMSG" if an answer cannot be read. */
  readonly code: Errno;
  /** The error text of the kernel, or a text of this project; may be empty. */
  readonly text: string;

  constructor(operation: string, code: Errno, text = "", options: ErrorOptions = {}) {
    const cause =
      text === "" && code === "EPERM"
        ? "the process lacks CAP_NET_ADMIN: add the capability NET_ADMIN to the container"
        : text;
    super(`Cannot ${operation}: ${code}${cause === "" ? "" : ` (${cause})`}`, options);
    this.operation = operation;
    this.code = code;
    this.text = cause;
  }
}
