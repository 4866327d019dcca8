import { readFileSync } from "node:fs";
import { mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ConfigWatch } from "../../../src/commands/config-watch.ts";
import { type Configuration, readCommandLine } from "../../../src/config/cli.ts";
import { VolumeFolder } from "../../support/container/volume-folder.ts";
import { logLines } from "../../support/objects/log-lines.ts";
import { eventually } from "../../support/time/eventually.ts";

const HEAD =
  "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclientConnection: { kubeconfig: /k }\n";

/** A volume with this configuration file. */
async function configMap(text: string) {
  const volume = await VolumeFolder.create(join(tmpdir(), "kube-ipvs-config-"), { "config.conf": HEAD + text });
  onTestFinished(() => volume[Symbol.asyncDispose]());
  return {
    path: join(volume.path, "config.conf"),
    replace: (next: string) => volume.replace({ "config.conf": HEAD + next }),
  };
}

/** A watch of this file that is running, and what it did. */
function watching(path: string) {
  const reread = () =>
    readCommandLine(["--config", path], {
      env: { KUBERNETES_SERVICE_HOST: "10.96.0.1" },
      hostname: "n1",
      readFile: (file) => readFileSync(file, "utf8"),
    });
  const log: string[] = [];
  const events: string[] = [];
  const applied: Configuration[] = [];
  const invocation = reread();
  if (invocation.kind !== "command") throw new Error(JSON.stringify(invocation));
  let nowMs = 1;
  const watch = new ConfigWatch(invocation, {
    reread,
    clock: { now: () => nowMs++ },
    logger: logLines(log),
    recordEvent: ({ type, reason, regarding, note }) => events.push(`${type} ${reason} ${regarding.name} ${note}`),
    eventsWritten: async () => {
      events.push("written");
    },
    apply: (configuration) => applied.push(configuration),
    // Without polls: every change here is found by its notification.
    waits: { settleMs: 20, pollMs: 3_600_000 },
  });
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
  });
  return { watch, log, events, applied, running, stop };
}

test("a ConfigMap that is replaced by its link is noticed, and live settings are applied", async () => {
  const volume = await configMap("ipvs: { scheduler: rr }");
  const { watch, log, applied, events } = watching(volume.path);
  await volume.replace("ipvs: { scheduler: sh }");
  await eventually(() => expect(applied).toHaveLength(1));
  await volume.replace("ipvs: { scheduler: wlc, syncPeriod: 10s }");
  await eventually(() => expect(applied).toHaveLength(2));
  expect(applied.map(({ config }) => config.scheduler)).toEqual(["sh", "wlc"]);
  expect(log.map((line) => line.replace(/ \{.*"settings":/, " "))).toEqual([
    'info the configuration file has changed, and its settings are in use ["ipvs.scheduler"]}',
    'info the configuration file has changed, and its settings are in use ["ipvs.scheduler","ipvs.syncPeriod"]}',
  ]);
  expect(events).toEqual([]);
  expect(watch.state.valid).toBe(true);
});

test("a file that is written in place or renamed is noticed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kube-ipvs-config-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "config.conf");
  await writeFile(path, HEAD);
  const { applied } = watching(path);
  await writeFile(path, `${HEAD}masqueradeAll: 1`);
  await writeFile(path, `${HEAD}iptables: { masqueradeAll: true }`);
  await eventually(() => expect(applied).toHaveLength(1));
  await writeFile(join(folder, "new"), HEAD);
  await rename(join(folder, "new"), path);
  await eventually(() => expect(applied).toHaveLength(2));
});

test("an invalid file changes nothing, is reported once by log, Event and state, and a valid one ends that", async () => {
  const volume = await configMap("");
  const { watch, log, events, applied } = watching(volume.path);
  const { loadedAtMs } = watch.state;
  await volume.replace("ipvs: { schedular: sh, syncPeriod: 1 }");
  await eventually(() => expect(watch.state.valid).toBe(false));
  const note = `configuration file "${volume.path}": Invalid ipvs.syncPeriod "1": must be a duration in the form "30s", "1h15m" or "250ms"; Unknown key "ipvs.schedular": did you mean ipvs.scheduler?; the earlier configuration stays in use`;
  expect(events).toEqual([`Warning InvalidConfiguration n1 ${note}`]);
  await volume.replace("ipvs: { schedular: sh, syncPeriod: 1 } # the same faults");
  await rm(volume.path);
  await eventually(() => expect(events).toHaveLength(2));
  expect(events[1]).toMatch(/Cannot read --config ".*": ENOENT/);
  expect([applied, watch.state]).toEqual([[], { valid: false, loadedAtMs }]);
  await symlink("..data/config.conf", volume.path);
  await volume.replace("");
  await eventually(() => expect(watch.state).toEqual({ valid: true, loadedAtMs }));
  expect(log.map((line) => line.split(" {")[0])).toEqual([
    "error the configuration file is invalid; the earlier configuration stays in use",
    "error the configuration file is invalid; the earlier configuration stays in use",
    "info the configuration file is valid again",
  ]);
});

test("a change that needs a new start ends the watch, with the settings in the log and in an Event that is written first", async () => {
  const volume = await configMap("");
  const { log, events, applied, running } = watching(volume.path);
  await volume.replace("ipvs: { scheduler: sh, excludeCIDRs: [10.0.0.0/8] }");
  expect(await running).toBe(true);
  expect(applied).toEqual([]);
  expect(log).toEqual([
    expect.stringMatching(
      /^warn the configuration file has changed: the agent ends.*"settings":\["ipvs.excludeCIDRs"\]/,
    ),
  ]);
  const note = `configuration file "${volume.path}" has changed in ipvs.excludeCIDRs: the agent ends, and starts again with the new configuration`;
  expect(events).toEqual([`Normal ConfigurationChanged n1 ${note}`, "written"]);
});

test("the end of the agent ends the watch", async () => {
  const volume = await configMap("");
  const { running, stop } = watching(volume.path);
  stop.abort();
  expect(await running).toBe(false);
});
