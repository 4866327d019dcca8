/** All that ask a daemon to end: a service manager, the keyboard, a terminal that closes. */
const ENDING = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const;

/** Aborts at the first signal that asks to end; a second one of the same ends the process as if nobody listened. */
export function endSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ENDING) process.once(name, () => controller.abort());
  return controller.signal;
}

/**
 * SIGUSR1 and SIGUSR2 do nothing from here on. Without a listener SIGUSR1 opens Node's debugger on 127.0.0.1:9229, in a process
 * that may change the host's network, and SIGUSR2 ends the process.
 */
export function ignoreUserSignals(): void {
  for (const name of ["SIGUSR1", "SIGUSR2"] as const) process.on(name, () => undefined);
}
