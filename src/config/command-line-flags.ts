/** A flag that is not a setting. */
export interface CommandLineFlag {
  /** The name of its value; absent for a boolean flag. */
  readonly placeholder?: string;
  readonly help: string;
  /** Whether it has no effect with `--config`, as in kube-proxy. */
  readonly withoutFile?: true;
  /** Whether only the help text of `run` shows it. */
  readonly ofRun?: true;
}

/** The flags that select what the program does, with the names of kube-proxy. */
export const COMMAND_LINE_FLAGS = {
  config: {
    placeholder: "FILE",
    help: "Configuration file (KubeProxyConfiguration of kubeproxy.config.k8s.io/v1alpha1). Changes are detected",
  },
  "write-config-to": { placeholder: "FILE", help: "Write the effective configuration to this file, then exit" },
  cleanup: { help: "The same as the command cleanup", ofRun: true },
  "init-only": { help: "The same as the command init", ofRun: true },
  "healthz-port": {
    placeholder: "PORT",
    help: "Port of --healthz-bind-address if that has none; 0 for no server. Deprecated in kube-proxy",
    withoutFile: true,
    ofRun: true,
  },
  "metrics-port": {
    placeholder: "PORT",
    help: "Port of --metrics-bind-address if that has none; 0 for no server. Deprecated in kube-proxy",
    withoutFile: true,
    ofRun: true,
  },
  version: { help: "Print the version, then exit" },
  help: { help: "Print this text, then exit. With a command: the text of that command" },
} as const satisfies Readonly<Record<string, CommandLineFlag>>;

export type CommandLineFlagName = keyof typeof COMMAND_LINE_FLAGS;

/** Whether there is a flag of this name that is not a setting. */
export function isCommandLineFlag(name: string): name is CommandLineFlagName {
  return Object.hasOwn(COMMAND_LINE_FLAGS, name);
}
