/**
 * The kernel could not be reached, did not answer, or refused where the caller does not expect a refusal. A call of the
 * kernel that rejects with any other error is a bug, which ends the process.
 */
export class KernelError extends Error {
  override readonly name: string = "KernelError";
}
