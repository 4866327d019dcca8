import { describe, expect, test } from "vitest";
import { deployedContainer, deployedPod } from "../support/container/deployment.ts";
import { type NodeOfPod, ociConfig } from "../support/container/oci-config.ts";

const NODE: NodeOfPod = {
  rootfs: "/image",
  imageMounts: [],
  hostPath: (path) => `/host${path}`,
  account: "/account",
  filtersCalls: true,
};

function config(which: "containers" | "initContainers", node = NODE) {
  return ociConfig(deployedPod(), deployedContainer(which), { argv: ["kube-ipvs"], env: { A: "b" } }, node);
}

/** The bind mounts, as "source destination access". */
function binds({ mounts }: ReturnType<typeof config>): readonly string[] {
  return mounts.flatMap(({ type, source, destination, options }) =>
    type === "bind" ? [`${source} ${destination} ${options.at(-1)}`] : [],
  );
}

describe("the container of the agent", () => {
  const { process, root, linux } = config("containers");

  test("has two capabilities, gains none, and has a read-only root and /proc/sys", () => {
    const capabilities = ["CAP_NET_ADMIN", "CAP_NET_RAW"];
    expect(process).toMatchObject({ noNewPrivileges: true, user: { uid: 0 }, env: ["A=b"], args: ["kube-ipvs"] });
    expect(process.capabilities).toEqual({
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
    });
    expect(root).toEqual({ path: "/image", readonly: true });
    expect(linux.readonlyPaths).toContain("/proc/sys");
  });

  test("is in the network namespace of the host and in namespaces of its own otherwise", () => {
    expect(linux.namespaces.map(({ type }) => type)).toEqual(["pid", "ipc", "mount", "cgroup"]);
  });

  test("mounts the lock of iptables and the service account, and no other file of the host", () => {
    expect(binds(config("containers"))).toEqual([
      "/host/run/xtables.lock /run/xtables.lock rw",
      "/account /var/run/secrets/kubernetes.io/serviceaccount ro",
    ]);
  });

  test("has the default profile: netlink sockets, no io_uring, no mounts, threads only by a clone that a filter can read", () => {
    const syscalls = linux.seccomp?.syscalls ?? [];
    const rules = (name: string) => syscalls.filter(({ names }) => names.includes(name));
    const netlink = 16;
    expect(rules("socket").map(({ args }) => args?.[0])).toContainEqual(
      expect.objectContaining({ index: 0, op: "SCMP_CMP_LT", value: expect.toSatisfy((value) => value > netlink) }),
    );
    expect(rules("epoll_pwait")).toMatchObject([{ action: "SCMP_ACT_ALLOW" }]);
    for (const name of ["io_uring_setup", "mount", "setns", "finit_module"]) expect(rules(name)).toEqual([]);
    expect(rules("clone3")).toEqual([{ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }]);
  });

  test("has no profile where the kernel filters no system calls", () => {
    expect(config("containers", { ...NODE, filtersCalls: false }).linux.seccomp).toBeUndefined();
  });
});

test("the init container has all capabilities, writable sysctls, the modules, and no profile", () => {
  const init = config("initContainers");
  expect(init.process.capabilities.effective).toEqual(expect.arrayContaining(["CAP_SYS_MODULE", "CAP_SYS_ADMIN"]));
  expect([init.linux.readonlyPaths, init.linux.maskedPaths, init.linux.seccomp]).toEqual([[], [], undefined]);
  expect(binds(init)[0]).toBe("/host/lib/modules /lib/modules ro");
});

test("a pod that the derivation does not cover is refused", () => {
  const { hostNetwork: _, ...pod } = deployedPod();
  const container = deployedContainer("containers");
  const started = { argv: [], env: {} };
  expect(() => ociConfig(pod, container, started, NODE)).toThrow("network namespace of its own");
  const { capabilities: __, ...context } = container.securityContext ?? {};
  expect(() => ociConfig(deployedPod(), { ...container, securityContext: context }, started, NODE)).toThrow(
    "keeps the capabilities",
  );
});
