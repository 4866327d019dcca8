import type { V1Container, V1PodSpec, V1SecurityContext } from "@kubernetes/client-node";
import { ALL_CAPABILITIES } from "./capabilities.ts";
import type { Started } from "./deployment.ts";
import { runtimeDefault, type SeccompProfile } from "./seccomp.ts";

/** A mount of an OCI runtime configuration. */
export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** The part of an OCI runtime configuration that containerd derives from a pod (runtime-spec, config.md). */
export interface OciConfig {
  readonly ociVersion: string;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly mounts: readonly OciMount[];
  readonly process: {
    readonly cwd: string;
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly user: { readonly uid: number; readonly gid: number };
    readonly noNewPrivileges: boolean;
    readonly capabilities: Readonly<Record<"bounding" | "effective" | "permitted", readonly string[]>>;
  };
  readonly linux: {
    readonly namespaces: readonly { readonly type: string }[];
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly seccomp?: SeccompProfile;
  };
}

/** What a node adds to the manifest of a pod. */
export interface NodeOfPod {
  /** The folder of the image's files. */
  readonly rootfs: string;
  /** Mounts by which the image gets files that are not in its folder. */
  readonly imageMounts: readonly OciMount[];
  /** Where a path of the host is; on most nodes that path itself. */
  readonly hostPath: (path: string) => string;
  /** The folders of volumes that are not the host's, such as those of ConfigMaps, by the names of the volumes. */
  readonly volumes?: ReadonlyMap<string, string>;
  /** The folder with the files of the service account. */
  readonly account: string;
  /** Whether the kernel can filter system calls. */
  readonly filtersCalls: boolean;
}

/**
 * Returns the configuration with which containerd runs a container of this pod, in the network namespace of the caller.
 *
 * Left out are limits and devices, which are in cgroups, AppArmor and SELinux, and the /etc/hosts and /etc/resolv.conf of the
 * kubelet.
 */
export function ociConfig(pod: V1PodSpec, container: V1Container, started: Started, node: NodeOfPod): OciConfig {
  if (pod.hostNetwork !== true) throw new Error("A pod with a network namespace of its own is not run here");
  const context = container.securityContext ?? {};
  const isPrivileged = context.privileged === true;
  const capabilities = isPrivileged ? ALL_CAPABILITIES : grantedCapabilities(context);
  const seccomp = node.filtersCalls ? seccompOf(pod, context, capabilities) : undefined;
  return {
    ociVersion: "1.0.0",
    root: { path: node.rootfs, readonly: context.readOnlyRootFilesystem === true },
    mounts: [...systemMounts(isPrivileged), ...node.imageMounts, ...volumeMounts(pod, container, node)],
    process: {
      cwd: "/",
      args: started.argv,
      env: Object.entries(started.env).map(([name, value]) => `${name}=${value}`),
      user: { uid: context.runAsUser ?? 0, gid: 0 },
      noNewPrivileges: context.allowPrivilegeEscalation === false,
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    },
    linux: {
      // That of the network is the host's, and with it that of the host name.
      namespaces: ["pid", "ipc", "mount", "cgroup"].map((type) => ({ type })),
      maskedPaths: isPrivileged ? [] : MASKED_PATHS,
      readonlyPaths: isPrivileged ? [] : READONLY_PATHS,
      ...(seccomp !== undefined && { seccomp }),
    },
  };
}

function grantedCapabilities({ capabilities }: V1SecurityContext): readonly string[] {
  const { add = [], drop = [] } = capabilities ?? {};
  if (drop.join() !== "ALL") throw new Error("A container that keeps the capabilities of its runtime is not run here");
  return add.map((name) => `CAP_${name}`);
}

/** Returns the profile of the container, else that of the pod; a privileged container has none. */
function seccompOf(
  { securityContext }: V1PodSpec,
  context: V1SecurityContext,
  capabilities: readonly string[],
): SeccompProfile | undefined {
  const { type } = context.seccompProfile ?? securityContext?.seccompProfile ?? { type: "Unconfined" };
  if (context.privileged === true || type === "Unconfined") return undefined;
  if (type !== "RuntimeDefault") throw new Error(`A container with the seccomp profile ${type} is not run here`);
  return runtimeDefault(capabilities);
}

/** In an unprivileged container, /sys is read-only, as are the paths of READONLY_PATHS. */
function systemMounts(isPrivileged: boolean): readonly OciMount[] {
  const access = isPrivileged ? "rw" : "ro";
  const mount = (type: string, destination: string, ...options: readonly string[]): OciMount => ({
    ...{ type, destination, source: type },
    options: ["nosuid", ...options],
  });
  return [
    mount("proc", "/proc", "noexec", "nodev"),
    mount("tmpfs", "/dev", "strictatime", "mode=755", "size=65536k"),
    mount("devpts", "/dev/pts", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    mount("tmpfs", "/dev/shm", "noexec", "nodev", "mode=1777", "size=65536k"),
    mount("mqueue", "/dev/mqueue", "noexec", "nodev"),
    mount("sysfs", "/sys", "noexec", "nodev", access),
    mount("cgroup", "/sys/fs/cgroup", "noexec", "nodev", "relatime", access),
  ];
}

function volumeMounts(pod: V1PodSpec, { volumeMounts = [] }: V1Container, node: NodeOfPod): readonly OciMount[] {
  const volumes = new Map((pod.volumes ?? []).map(({ name, hostPath }) => [name, hostPath?.path]));
  const inMemory = new Set((pod.volumes ?? []).filter(({ emptyDir }) => emptyDir).map(({ name }) => name));
  const account = { source: node.account, destination: ACCOUNT_MOUNT, readOnly: true };
  const empty = volumeMounts
    .filter(({ name }) => inMemory.has(name))
    .map(({ mountPath }) => ({ type: "tmpfs", source: "tmpfs", destination: mountPath, options: ["nosuid", "nodev"] }));
  const ofHost = volumeMounts.filter(({ name }) => !inMemory.has(name));
  const declared = ofHost.map(({ name, mountPath, readOnly }) => {
    const [own, path] = [node.volumes?.get(name), volumes.get(name)];
    if (own !== undefined) return { source: own, destination: mountPath, readOnly: true };
    if (path === undefined) throw new Error(`The volume "${name}" is no path of the host`);
    return { source: node.hostPath(path), destination: mountPath, readOnly: readOnly === true };
  });
  const bound = [...declared, account].map(({ source, destination, readOnly }) =>
    bindMount(source, destination, readOnly ? "ro" : "rw"),
  );
  return [...empty, ...bound];
}

/** Returns the mount of a file or folder of the host. */
export function bindMount(source: string, destination: string, access: "ro" | "rw"): OciMount {
  return { type: "bind", source, destination, options: ["rbind", "rprivate", access] };
}

/** Where the kubelet mounts the service account in each container. */
const ACCOUNT_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The paths that containerd hides from, and shows read-only to, a container that is not privileged. */
const MASKED_PATHS = [
  ...["acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi"].map(
    (name) => `/proc/${name}`,
  ),
  ...["/sys/firmware", "/sys/devices/virtual/powercap"],
];
const READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
