export interface Sysctl {
  readonly path: string;
  readonly value: string;
  /** atLeast: a larger number is left alone. */
  readonly compare: "equal" | "atLeast";
  /** Whether Services do not work without it: a node on which it is wrong is not ready. */
  readonly required: boolean;
  /** By which it was asked for, without hyphens: named when it is refused. */
  readonly flag?: string;
  /** The flag by which `init` knows that it is wanted, where the agent knows it by other ways, too. */
  readonly initFlag?: string;
}
