import { constants } from "node:os";
import { KernelError } from "../../model/kernel/kernel-error.ts";
import type { Errno } from "../kernel.ts";

/** Second names of numbers on Linux; the kernel's sources use the others. */
const ALIASES = new Set(["EWOULDBLOCK", "ENOTSUP", "EDEADLOCK"]);

const NAMES: ReadonlyMap<number, Errno> = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => !ALIASES.has(name))
    .map(([name, errno]) => [errno, name]),
);

/** "EEXIST" for 17; "E1234" for a number without a name. */
export function errnoName(errno: number): Errno {
  return NAMES.get(errno) ?? `E${errno}`;
}

/** A request that could not be made, was not answered, or was refused where a refusal is not an answer. */
export class NetlinkError extends KernelError {
  override readonly name = "NetlinkError";
  /** What was being done: "list virtual servers". */
  readonly operation: string;
  /** Symbolic: "ETIMEDOUT" without an answer, "ENOBUFS" for lost ones, "EBADMSG" for one that cannot be read. */
  readonly code: Errno;
  /** The kernel's own words, or ours; may be empty. */
  readonly text: string;

  constructor(operation: string, code: Errno, text = "", options: ErrorOptions = {}) {
    const cause = text === "" && code === "EPERM" ? "the process lacks CAP_NET_ADMIN" : text;
    super(`Cannot ${operation}: ${code}${cause === "" ? "" : ` (${cause})`}`, options);
    this.operation = operation;
    this.code = code;
    this.text = cause;
  }
}
