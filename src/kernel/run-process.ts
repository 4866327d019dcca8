import { execFile } from "node:child_process";
import { constants, setPriority } from "node:os";

/** How a process ended. A program that is not there ends with 127, as in a shell, one that took too long with 124. */
export interface ProcessResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program, without a shell, with `input` as its standard input. Never rejects. */
export type RunProcess = (file: string, args: readonly string[], input?: string) => Promise<ProcessResult>;

/** Longer than the five seconds that iptables waits for its lock, and the seconds that a large table takes. */
const TIMEOUT_MS = 30_000;
/** A node of kube-proxy's iptables mode may have tens of megabytes of rules. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

export const runProcess: RunProcess = (file, args, input = "") =>
  new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, killSignal: "SIGKILL" as const };
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else resolve({ code: codeOf(error), stdout, stderr: stderr === "" ? error.message : stderr });
    });
    if (input === "") giveWay(child.pid);
    // A program that ends without reading its input is told apart by its exit code, not by the broken pipe.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });

/** Who is given nothing only reads and may wait for the CPU. It holds no lock that others wait for. */
function giveWay(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already, or the container allows no such thing: it works all the same.
  }
}

function codeOf(error: { readonly code?: unknown; readonly killed?: boolean }): number {
  if (error.code === "ENOENT") return 127;
  if (error.killed === true) return 124;
  return typeof error.code === "number" ? error.code : 1;
}
