import type { V1Container } from "@kubernetes/client-node";
import type { Started } from "./deployment.ts";

/** What a container runtime is told: a folder or file of the host, and where it is seen inside. */
export interface Mount {
  readonly source: string;
  readonly target: string;
}

/**
 * The command that runs a program as a container of the host's network is run: with no more capabilities than its manifest
 * says, with only its own variables, and where the manifest says so with nothing to write to but its mounts. What a runtime
 * takes from containers that are not privileged, writing to /proc/sys, is taken here too. The image is this machine.
 *
 * Targets of mounts must exist. Seccomp and AppArmor are not there.
 */
export function containerCommand(
  { securityContext }: V1Container,
  { argv, env }: Started,
  mounts: readonly Mount[],
): readonly string[] {
  const isPrivileged = securityContext?.privileged === true;
  const isReadOnly = securityContext?.readOnlyRootFilesystem === true;
  const script = [
    // Again over itself, so that it can be made read-only while the mounts in it are not.
    "mount --bind /run /run",
    ...mounts.map(({ source, target }) => `mount --bind ${source} ${target}`),
    ...(isReadOnly ? ["mount -o remount,bind,ro /run", "mount -o remount,bind,ro /"] : []),
    ...(isPrivileged ? [] : ["mount --bind /proc/sys /proc/sys", "mount -o remount,bind,ro /proc/sys"]),
    'exec "$@"',
  ];
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const rights = isPrivileged ? [] : ["setpriv", ...privileges(securityContext)];
  return [
    ...["unshare", "--mount", "--propagation", "private", "sh", "-euc", script.join("\n"), "container"],
    ...[...rights, "env", "-i", ...variables, ...argv],
  ];
}

function privileges(context: V1Container["securityContext"]): readonly string[] {
  const { add = [], drop = [] } = context?.capabilities ?? {};
  if (drop.join() !== "ALL") throw new Error("A container that keeps the capabilities of its runtime is not run here");
  const names = ["-all", ...add.map((name) => `+${name.toLowerCase()}`)].join();
  const user = context?.runAsUser === undefined ? [] : [`--reuid=${context.runAsUser}`];
  const bound = context?.allowPrivilegeEscalation === false ? ["--no-new-privs"] : [];
  return [`--bounding-set=${names}`, "--inh-caps=-all", ...user, ...bound];
}
