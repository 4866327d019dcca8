import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { refusal } from "../../../../support/api/answers.ts";
import { ApiServer } from "../../../../support/api/api-server.ts";
import { LogLines } from "../../../../support/api/worlds/log-lines.ts";
import { SourceWorld } from "../../../../support/api/worlds/source-world.ts";

const MINUTES = 6;

/** A world that watches `count` servers with the same state, after its first lists. */
async function watching(count: number): Promise<{ readonly world: SourceWorld; readonly log: LogLines }> {
  const log = new LogLines();
  const world = new SourceWorld(log);
  onTestFinished(() => world.stop());
  await world.serve();
  const others = await Promise.all(Array.from({ length: count - 1 }, () => ApiServer.start(world.model)));
  for (const other of others) onTestFinished(() => other.close());
  const folder = await mkdtemp(join(tmpdir(), "outage-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "kubeconfig");
  await writeFile(path, world.kubeconfig("{}"));
  await world.watch(path, "", () => 0.5, [world.server.url, ...others.map(({ url }) => url)]);
  await world.until("the lists", () => world.told.listed.size === 4);
  await world.clock.advance(1000);
  log.lines.length = 0;
  return { world, log };
}

/** Six minutes of an outage that ends all watches at its begin; then all resources are watched again. */
async function suffer(world: SourceWorld, log: LogLines, trouble: ReturnType<typeof refusal>): Promise<void> {
  const goneAtMs = world.clock.now();
  world.model.behaviour.trouble = trouble;
  world.model.endWatches("reset");
  await world.until("the outage", () => world.clock.now() - goneAtMs >= MINUTES * 60_000);
  world.model.behaviour.trouble = undefined;
  await world.until("all is watched again", () => log.lines.some((line) => /^INFO API server is watched/.test(line)));
}

test.each<[string, number, () => ReturnType<typeof refusal>, RegExp]>([
  ["one server fails", 1, () => refusal(500, "InternalError", "etcd is down"), /look at the log of the API server/],
  ["two servers fail", 2, () => refusal(503, "ServiceUnavailable", "no"), /look at the log of the API server/],
  ["the token is refused", 2, () => refusal(401, "Unauthorized", "no"), /check the token or the client certificate/],
  ["the role is missing", 1, () => refusal(403, "Forbidden", "no"), /apply the ClusterRole/],
])("while %s, four resources make one warning a minute and one line at the end", async (_what, count, answer, cure) => {
  const { world, log } = await watching(count);
  await suffer(world, log, answer());
  const [last, ...others] = log.lines.toReversed();
  expect(last).toMatch(/^INFO API server is watched again after \dm$/);
  expect(others.length).toBeGreaterThanOrEqual(MINUTES - 1);
  expect(others.length).toBeLessThanOrEqual(MINUTES + 1);
  for (const line of others)
    expect(line).toMatch(
      /^WARN cannot watch .* at the API server for \d+[sm], serving the state of \S+ \d\d:\d\d:\d\d UTC$/,
    );
  expect(JSON.stringify(log.fields.at(-2))).toMatch(cure);
});

test("while a server is away, the other one serves: one line names it", async () => {
  const { world, log } = await watching(2);
  await world.server.close();
  await world.until("the other", () => log.lines.length > 0);
  await world.clock.advance(1000);
  expect(log.lines.filter((line) => line.startsWith("INFO connected to API server"))).toHaveLength(1);
  expect(log.lines.length).toBeLessThanOrEqual(3);
});
