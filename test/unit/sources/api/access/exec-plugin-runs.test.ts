import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../../../support/api/worlds/test-access.ts";
import { credential, PLUGIN, PRINTS_FILE, plugin, prints, script } from "../../../../support/objects/exec-plugins.ts";
import { put } from "../../../../support/objects/kubeconfigs.ts";

const never = new AbortController().signal;
const V1 = "client.authentication.k8s.io/v1";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

function isAlive(pid: string | undefined): boolean {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}

describe("an exec plugin runs", () => {
  test("once for all waiting requests, and not again while its credentials are valid", async () => {
    const one = await plugin(prints(credential({ token: "t" })));
    expect(await Promise.all([one.token(), one.token(), one.token()])).toEqual(Array(3).fill(bearer("t")));
    await one.clock.advance(86_400_000);
    expect(await one.token()).toEqual(bearer("t"));
    expect(await one.runs()).toHaveLength(1);
  });

  test("again when its credentials have expired by the wall clock", async () => {
    const one = await plugin(PRINTS_FILE);
    const expires = (ms: number) => new Date(one.clock.date().getTime() + ms).toISOString();
    await put(join(one.folder, "answer"), credential({ token: "one", expirationTimestamp: expires(60_000) }));
    expect(await one.token()).toEqual(bearer("one"));
    await put(join(one.folder, "answer"), credential({ token: "two", expirationTimestamp: expires(120_000) }));
    await one.clock.advance(59_000);
    expect(await one.token()).toEqual(bearer("one"));
    one.clock.stepWall(1000);
    expect(await one.token()).toEqual(bearer("two"));
  });

  test("again at once when the server rejected its credentials, then with a wait that doubles", async () => {
    const one = await plugin(
      script(
        `printf '{"apiVersion":"${V1}","kind":"ExecCredential","status":{"token":"%s"}}' "$(wc -l < runs | tr -d ' ')"`,
      ),
    );
    await one.token();
    await one.clock.advance(60_000);
    const waits: number[] = [];
    let sinceMs = one.clock.now();
    for (let round = 0; round < 600; round++) {
      const before = await one.config.credentials(never);
      await one.config.renew(before);
      if (
        (await one.config.credentials(never)).headers !== before.headers &&
        (await one.runs()).length > waits.length + 1
      ) {
        waits.push(one.clock.now() - sinceMs);
        sinceMs = one.clock.now();
      }
      await one.clock.advance(100);
    }
    expect(waits).toEqual([0, 800, 1600, 3200, 6400, 12_800, 25_600]);
  });

  test("not again for a request that was rejected with former credentials", async () => {
    const one = await plugin(PRINTS_FILE, {}, { answer: credential({ token: "one" }) });
    const first = await one.config.credentials(never);
    await put(join(one.folder, "answer"), credential({ token: "two" }));
    await one.clock.advance(10_000);
    await one.config.renew(first);
    expect(await one.token()).toEqual(bearer("two"));
    await one.config.renew(first);
    await one.clock.advance(10_000);
    expect(await one.token()).toEqual(bearer("two"));
    expect(await one.runs()).toHaveLength(2);
  });

  test("again after a failure and a wait that doubles; until then the failure is returned", async () => {
    const one = await plugin(script("exit 3"));
    const message = `Cannot get credentials: ${PLUGIN} ended with exit code 3`;
    for (let round = 0; round < 100; round++) {
      expect(await one.failure()).toBe(message);
      await one.clock.advance(100);
    }
    // At 0, 0.8, 2.4 and 5.6 s.
    expect(await one.runs()).toHaveLength(4);
    await put(join(one.folder, "plugin"), prints(credential({ token: "t" })));
    await one.clock.advance(10_000);
    expect(await one.token()).toEqual(bearer("t"));
  });

  test("again after an output without status, which is not kept", async () => {
    const one = await plugin(PRINTS_FILE, {}, { answer: credential(undefined) });
    expect(await one.failure()).toBe(`Cannot use the output of ${PLUGIN}: it has no status`);
    await put(join(one.folder, "answer"), credential({ token: "t" }));
    await one.clock.advance(800);
    expect(await one.token()).toEqual(bearer("t"));
  });
});

describe("an exec plugin that hangs", () => {
  /** With a child process in a pipe, as shell scripts have. */
  const HANGS = script("sleep 1000 & echo $! >> runs; echo SECRET >&2; wait");
  const started = async (one: Awaited<ReturnType<typeof plugin>>) =>
    await until("plugin and child run", async () => (await one.runs()).length === 2);

  test("is one run for all, and is killed with its children after 30 s", async () => {
    const one = await plugin(HANGS);
    const asked = [one.failure(), one.failure(), one.failure(), one.failure()];
    await started(one);
    await one.clock.advance(29_900);
    expect((await one.runs()).every(isAlive)).toBe(true);
    await one.clock.advance(100);
    const message = `Cannot get credentials: ${PLUGIN} did not finish within 30 s`;
    expect(await Promise.all(asked)).toEqual(Array(4).fill(message));
    const pids = await one.runs();
    expect(pids).toHaveLength(2);
    await until("both are gone", () => !pids.some(isAlive));
  });

  test("is waited for no longer than the limit of a request, and continues for the next request", async () => {
    const one = await plugin(script("echo child >> runs; while [ ! -e go ]; do sleep 0.01; done; cat answer"));
    const over = new AbortController();
    const asked = one.config
      .credentials(over.signal)
      .catch((error: Error) => error.message.replaceAll(one.folder, "DIR"));
    await started(one);
    over.abort();
    expect(await asked).toBe(`Cannot get credentials in time: still waiting for ${PLUGIN}`);
    await put(join(one.folder, "answer"), credential({ token: "t" }));
    await put(join(one.folder, "go"), "");
    expect(await one.token()).toEqual(bearer("t"));
    expect(await one.runs()).toHaveLength(2);
  });

  test("is killed with its children at the stop", async () => {
    const one = await plugin(HANGS);
    const asked = one.failure();
    await started(one);
    one.stop.abort(new Error("stopped"));
    expect(await asked).toContain("stopped");
    const pids = await one.runs();
    await until("both are gone", () => !pids.some(isAlive));
    expect(one.clock.sleeping).toBe(0);
  });

  test("is given up after 30 s also if a process that it left keeps its output open", async () => {
    const one = await plugin(script("setsid sleep 1000 & echo $! >> runs"));
    const asked = one.failure();
    await started(one);
    await until("the plugin has ended", async () => !isAlive((await one.runs())[0]));
    await one.clock.advance(30_000);
    expect(await asked).toContain("did not finish within 30 s");
    process.kill(Number((await one.runs())[1]), "SIGKILL");
  });
});
