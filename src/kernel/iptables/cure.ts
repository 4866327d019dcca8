/** Failures of iptables whose cause is the container in which it runs. */
const CURES: readonly { readonly pattern: RegExp; readonly cure: string }[] = [
  { pattern: /can't open lock file/, cure: "mount /run/xtables.lock of the host into the container" },
  {
    pattern: /you must be root|Operation not permitted|open socket to ipset/,
    cure: "run the container as user 0 with the capabilities NET_ADMIN and NET_RAW",
  },
];

/** Returns the error output of an iptables program, with what to do if the cause is known. */
export function withCure(stderr: string): string {
  const text = stderr.trim();
  const known = CURES.find(({ pattern }) => pattern.test(text));
  return known === undefined ? text : `${text} (${known.cure})`;
}
