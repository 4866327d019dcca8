import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { DaemonSetNode } from "../../support/container/daemonset.ts";
import { kernelHasSeccompFilters } from "../../support/container/seccomp.ts";
import { output } from "../../support/node/namespace.ts";
import type { TestNode } from "../../support/node/netns.ts";
import { patient } from "../../support/time/patience.ts";

/** The containers of the DaemonSet as a runtime starts them. */
let daemonSet: DaemonSetNode;
let node: TestNode;

/** A container starts with its code uncompiled, which takes a guest seconds. */
vi.setConfig({ testTimeout: patient(120_000) });

beforeAll(async () => {
  daemonSet = await DaemonSetNode.create();
  node = daemonSet.node;
});

afterAll(() => daemonSet?.[Symbol.asyncDispose]());

describe("the init container", () => {
  test("loads the modules of the host", async () => {
    await node.prints("rmmod ip_vs_nq || true");
    expect(await daemonSet.init()).toMatchObject({ code: 0, err: expect.not.stringContaining("modprobe") });
    expect(await output(["lsmod"])).toMatch(/^ip_vs_nq /m);
  });

  test("that finds no modules on the host names each of them, and still sets the sysctls", async () => {
    await node.prints("echo 0 >/proc/sys/net/ipv4/vs/conntrack");
    await output(["mkdir", "-p", "/run/kube-ipvs-no-modules"]);
    const { code, out, err } = await daemonSet.init(({ volumes = [] }) => {
      for (const { hostPath } of volumes)
        if (hostPath?.path === "/lib/modules") hostPath.path = "/run/kube-ipvs-no-modules";
    });
    expect([code, out]).toEqual([0, expect.stringContaining("set net/ipv4/vs/conntrack from 0 to 1")]);
    expect(err).toContain("Module ip_vs not found in directory /lib/modules/");
  });
});

describe("the container of the agent", () => {
  test("has two capabilities, can gain none, and makes only the system calls that the runtime allows", async () => {
    const { agent } = await daemonSet.start();
    onTestFinished(() => agent[Symbol.asyncDispose]());
    await agent.logged("connected to API server");
    const [pid = ""] = (await output(["pgrep", "-f", "kube-ipvs run"])).trim().split("\n").slice(-1);
    const status = await output(["cat", `/proc/${pid}/status`]);
    const value = (field: string) => new RegExp(`^${field}:\\s*(\\S+)$`, "m").exec(status)?.[1];
    // CAP_NET_ADMIN is 12 and CAP_NET_RAW 13 (capability.h).
    const capabilities = "0000000000003000";
    expect(["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"].map(value)).toEqual([
      ...[capabilities, capabilities, capabilities],
      ...["0000000000000000", "0000000000000000"],
    ]);
    expect(value("NoNewPrivs")).toBe("1");
    // 2 is SECCOMP_MODE_FILTER; the line is missing where the kernel has no seccomp.
    if (kernelHasSeccompFilters()) expect(value("Seccomp")).toBe("2");
  });
});
