import { execFile } from "node:child_process";
import { constants, setPriority } from "node:os";

/**
 * How a process ended. The code is 127 if the program does not exist, as in a shell, and 124 if it exceeded the
 * timeout.
 */
export interface ProcessResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program, without a shell, with `input` as its standard input. Never rejects. */
export type RunProcess = (file: string, args: readonly string[], input?: string) => Promise<ProcessResult>;

/** Longer than the five seconds for which iptables waits for its lock plus the seconds that a large table takes. */
const TIMEOUT_MS = 30_000;
/** A node in kube-proxy's iptables mode may have tens of megabytes of rules. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

export const runProcess: RunProcess = (file, args, input = "") =>
  new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, killSignal: "SIGKILL" as const };
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else resolve({ code: codeOf(error), stdout, stderr: stderr === "" ? error.message : stderr });
    });
    if (input === "") lowerPriority(child.pid);
    // The exit code shows whether a program ended without reading its input; the broken pipe adds nothing.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });

/** Lowers the priority of a program without input: it only reads, and it holds no lock that other programs wait for. */
function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // The process has ended, or the container does not allow the change: it runs with normal priority.
  }
}

function codeOf(error: { readonly code?: unknown; readonly killed?: boolean }): number {
  if (error.code === "ENOENT") return 127;
  if (error.killed === true) return 124;
  return typeof error.code === "number" ? error.code : 1;
}
