import { execFileSync, spawnSync } from "node:child_process";
import { test } from "vitest";

const { REQUIRE_ALL: REQUIRED } = process.env;

/** The protocols of Services, as clients name them. */
export type SpokenProtocol = "tcp" | "udp" | "sctp";

/** The protocols that tests of a file can speak here; as `canSpeakSCTP`. */
export function spokenProtocols(): readonly SpokenProtocol[] {
  return canSpeakSCTP() ? ["tcp", "udp", "sctp"] : ["tcp", "udp"];
}

/**
 * Loads the kernel module that those need who speak SCTP; Services do without. A file calls this once, while its tests are
 * collected, and unloads the module after them, since other tests show that nobody else loads it. Where there is no module,
 * the file gets a test that says so: it is skipped, or fails in `npm test`, which sets REQUIRE_ALL.
 */
export function canSpeakSCTP(): boolean {
  // In a guest the modules are elsewhere.
  const { status, stderr } = spawnSync("sh", ["-c", "modprobe -d /run/modules sctp 2>/dev/null || modprobe sctp"], {
    encoding: "utf8",
  });
  if (status === 0) return true;
  const problem = `Cannot load the kernel module sctp: ${stderr.trim()}`;
  console.log(`>> SCTP is left out: ${problem}`);
  test.skipIf(REQUIRED === undefined)("the kernel has the module for SCTP", () => {
    throw new Error(problem);
  });
  return false;
}

/** Once nothing uses it any more; where it was not loaded this does nothing. */
export function unloadSCTP(): void {
  execFileSync("sh", ["-c", "rmmod sctp || true"], { stdio: "ignore" });
}
