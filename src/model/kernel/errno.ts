import type { Brand } from "../brand.ts";

/** The errors that this program makes, compares or explains. A misspelled name does not compile. */
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
  | "ENETDOWN"
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
 * The symbolic name of an error, as in errno.h: "EEXIST". An error without a name is "E1234"; an error of ipset is
 * "IPSET_ERR_…". A name that code compares must be in KnownErrno.
 */
export type Errno = KnownErrno | Brand<`E${string}` | `IPSET_ERR_${string}`, "Errno">;

/** Returns the errno with this name, which comes from the kernel or from Node.js. */
export function errnoNamed(name: string): Errno {
  return name as Errno;
}
