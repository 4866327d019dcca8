import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { registerBuildMetrics } from "../../../../src/serve/metrics/build-metrics.ts";
import { registerGoroutines } from "../../../../src/serve/metrics/process-metrics.ts";

test("the build is that of kube-proxy 1.36 with the release of kube-ipvs behind it", async () => {
  const registry = new Registry();
  registerBuildMetrics(registry, { version: "0.1.0", node: "v26.1.0", platform: "linux/amd64" });
  const text = await registry.metrics();
  expect(text).toMatch(
    /^kubernetes_build_info\{major="1",minor="36",git_version="v1\.36\.2\+kube-ipvs\.0\.1\.0",.*platform="linux\/amd64"\} 1$/m,
  );
  expect(text).toContain('kube_ipvs_build_info{version="0.1.0",node_version="v26.1.0",platform="linux/amd64"} 1');
});

test("the stand-in for goroutines grows with each open timer", async () => {
  const registry = new Registry();
  registerGoroutines(registry);
  const count = async () => Number(/^go_goroutines (\d+)$/m.exec(await registry.metrics())?.[1]);
  const before = await count();
  const timers = Array.from({ length: 20 }, () => setTimeout(() => {}, 60_000));
  expect(await count()).toBe(before + 20);
  for (const timer of timers) clearTimeout(timer);
});
