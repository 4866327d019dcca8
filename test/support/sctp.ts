import { execFileSync } from "node:child_process";

/**
 * Loads the kernel module that those need who speak SCTP; Services do without. False where there is none. Whoever has
 * loaded it unloads it, since other tests show that nobody else does.
 */
export function loadSCTP(): boolean {
  try {
    // In a guest the modules are elsewhere.
    execFileSync("sh", ["-c", "modprobe -d /run/modules sctp 2>/dev/null || modprobe sctp"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Once nothing uses it any more; where it was not loaded this does nothing. */
export function unloadSCTP(): void {
  execFileSync("sh", ["-c", "rmmod sctp || true"], { stdio: "ignore" });
}
