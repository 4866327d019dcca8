import type { Brand } from "../brand.ts";

/** The errors of the kernel that this program makes, compares or explains. A misspelt one does not compile. */
export type KnownErrno =
  | "EACCES"
  | "EADDRNOTAVAIL"
  | "EAFNOSUPPORT"
  | "EBADMSG"
  | "ECANCELED"
  | "EEXIST"
  | "EINTR"
  | "EINVAL"
  | "EIO"
  | "ENOBUFS"
  | "ENODEV"
  | "ENOENT"
  | "ENOMEM"
  | "EOPNOTSUPP"
  | "EPERM"
  | "EPROTONOSUPPORT"
  | "ERANGE"
  | "ESRCH"
  | "ETIMEDOUT"
  | "IPSET_ERR_BITMAP_RANGE"
  | "IPSET_ERR_FIND_TYPE"
  | "IPSET_ERR_HASH_FULL"
  | "IPSET_ERR_TYPE_MISMATCH";

/**
 * An error of the kernel by its symbolic name, as in errno.h: "EEXIST". "E1234" is an error without a name, and
 * "IPSET_ERR_…" one of ipset's own. To compare with another name, add it to KnownErrno.
 */
export type Errno = KnownErrno | Brand<`E${string}` | `IPSET_ERR_${string}`, "Errno">;

/** Returns the errno that has the name in the kernel or in Node.js. */
export function errnoNamed(name: string): Errno {
  return name as Errno;
}
