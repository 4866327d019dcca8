/** The kernel did not answer; the cause says why. Everything else that a reconciler throws is a bug. */
export class KernelUnavailable extends Error {
  override readonly name = "KernelUnavailable";
}
