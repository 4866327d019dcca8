export interface Sysctl {
  readonly path: string;
  readonly value: string;
  /** atLeast: a larger number stays as it is. */
  readonly compare: "equal" | "atLeast";
  /** Whether Services need it: a node where the value is wrong is not ready. */
  readonly required: boolean;
  /** The command-line flag that sets it, without hyphens: an error text names it. */
  readonly flag?: string;
  /** The flag that makes `init` apply the setting; absent if `init` always applies it. */
  readonly initFlag?: string;
}
