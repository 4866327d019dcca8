import type { Config } from "../config.ts";
import type { Parse } from "../setting-values.ts";

export type Command =
  | "run"
  | "init"
  | "plan"
  | "diff"
  | "explain"
  | "trace"
  | "doctor"
  | "status"
  | "support-bundle"
  | "rollback"
  | "cleanup";

/**
 * The type of a value in the configuration file. "address" is text with an IP address and perhaps a port, "mask" and "amount" are
 * text or a number. A flag of the type "strings" may be repeated, and a flag of the type "boolean" needs no value.
 */
export type ValueType = "boolean" | "integer" | "duration" | "string" | "strings" | "address" | "mask" | "amount";

/** A setting: a field of Config with its flag and its path in the configuration file. */
export interface Setting<Value> {
  readonly flag: string;
  readonly aliases?: readonly string[];
  readonly short?: string;
  /** The path in the configuration file, such as "ipvs.scheduler"; absent if the file cannot contain the setting. */
  readonly path?: string;
  readonly type: ValueType;
  /** Whether a changed file changes the setting of a running agent. Otherwise the agent ends, to be started again. */
  readonly live?: true;
  /** Whether zero in the file means the default, as in kube-proxy for fields that are no pointers in Go. */
  readonly zeroIsDefault?: true;
  /** The name of the value in the help text; absent for a boolean flag. */
  readonly placeholder?: string;
  /** The command whose argument without a flag is this value. */
  readonly argumentOf?: Command;
  /** Whether its commands need a value. */
  readonly required?: true;
  /** The text of the default value. */
  readonly fallback: string;
  readonly help: string;
  /** The commands that use the setting and show its flag in their help. */
  readonly commands: readonly Command[];
  readonly parse: Parse<Value>;
}

/** The settings of these fields of Config. */
export type Settings<Key extends keyof Config> = { readonly [K in Key]: Setting<Config[K]> };

/** Commands that use a setting. */
export const ALL: readonly Command[] = [
  "run",
  "plan",
  "diff",
  "explain",
  "doctor",
  "support-bundle",
  "rollback",
  "cleanup",
];
export const WANTING: readonly Command[] = ["run", "plan", "diff", "explain", "doctor", "support-bundle"];
export const RULED: readonly Command[] = [...WANTING, "rollback"];
export const WRITING: readonly Command[] = ["run", "rollback", "cleanup"];
export const AGENT: readonly Command[] = ["run"];
export const PREPARING: readonly Command[] = ["run", "init", "diff", "doctor", "support-bundle"];
export const COMPARING: readonly Command[] = ["run", "diff", "doctor", "support-bundle"];
export const RULING: readonly Command[] = ["run", "diff", "doctor", "support-bundle", "rollback", "cleanup"];
export const SHOWING: readonly Command[] = ["plan", "diff", "explain", "trace", "doctor", "status"];
/** Commands that ask the running agent, and the agent itself. */
export const ASKING: readonly Command[] = ["run", "explain", "status", "support-bundle"];
