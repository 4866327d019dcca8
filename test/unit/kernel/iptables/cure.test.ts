import { expect, test } from "vitest";
import { withCure } from "../../../../src/kernel/iptables/cure.ts";

test.each([
  [
    "Fatal: can't open lock file /run/xtables.lock: Read-only file system\n",
    "Fatal: can't open lock file /run/xtables.lock: Read-only file system (mount /run/xtables.lock of the host into the container)",
  ],
  [
    "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (you must be root)",
    "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (you must be root) (run the container as user 0 with the capabilities NET_ADMIN and NET_RAW)",
  ],
  [
    "iptables-restore v1.8.9 (legacy): Can't open socket to ipset.\n",
    "iptables-restore v1.8.9 (legacy): Can't open socket to ipset. (run the container as user 0 with the capabilities NET_ADMIN and NET_RAW)",
  ],
  ["restore: no such thing\nError occurred at line: 7\n", "restore: no such thing\nError occurred at line: 7"],
])("what iptables printed is kept, with a cure if its cause is the container: %s", (stderr, text) => {
  expect(withCure(stderr)).toBe(text);
});
