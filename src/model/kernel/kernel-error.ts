/**
 * The kernel could not be asked, did not answer, or refused where a refusal is no answer. Nothing else that a call of the
 * kernel rejects with is the kernel's doing: it is a bug, and ends the process.
 */
export class KernelError extends Error {
  override readonly name: string = "KernelError";
}
