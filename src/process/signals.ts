/** The signals that end a daemon: from a service manager, the keyboard, or a terminal that closes. */
const ENDING = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const;

/** Aborts at the first of these signals; a second signal of the same kind ends the process by the default action. */
export function endSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ENDING) process.once(name, () => controller.abort());
  return controller.signal;
}

/**
 * Makes SIGUSR1 and SIGUSR2 do nothing from here on. Without a listener SIGUSR1 opens Node's debugger on
 * 127.0.0.1:9229, in a process that may change the network of the host, and SIGUSR2 ends the process.
 */
export function ignoreUserSignals(): void {
  for (const name of ["SIGUSR1", "SIGUSR2"] as const) process.on(name, () => undefined);
}
