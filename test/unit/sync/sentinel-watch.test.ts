import { expect, test } from "vitest";
import type { VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import { KernelError } from "../../../src/model/kernel/kernel-error.ts";
import type { ServerState } from "../../../src/model/kernel/server-state.ts";
import { watchSentinels } from "../../../src/sync/sentinel-watch.ts";
import { Sentinels } from "../../../src/sync/sentinels.ts";
import { HandClock } from "../../support/api/worlds/hand-clock.ts";

const key = (name: string) => name as VirtualServerKey; // any text names one here
const state = (name: string) => ({ server: { key: key(name) } }) as ServerState; // nothing else is read

/** Sentinels of a kernel with these virtual servers, those with "f" of other programs. */
function sentinelsOf(names: readonly string[]) {
  const actual = new Map(names.map((name) => [key(name), state(name)]));
  const invalidated = new Set<VirtualServerKey>();
  const ours = [...actual.values()].filter(({ server }) => !server.key.startsWith("f"));
  const sentinels = new Sentinels(
    {
      isKnown: true,
      invalidated,
      invalidate: (one) => void invalidated.add(one),
      actual: { server: (one) => actual.get(one), servers: () => actual.values() },
    },
    { server: (one) => ours.find(({ server }) => server.key === one), servers: () => ours },
  );
  return { sentinels, invalidated };
}

const numbered = (prefix: string, count: number) => Array.from({ length: count }, (_, number) => `${prefix}${number}`);

test("all desired virtual servers are looked for in turn, a few each time, and those of other programs never", () => {
  const { sentinels } = sentinelsOf([...numbered("s", 9), "f"]);
  const taken = Array.from({ length: 6 }, () => [...sentinels.take()]);
  expect(Math.max(...taken.map(({ length }) => length))).toBe(4);
  expect([...new Set(taken.flat())].toSorted()).toEqual(numbered("s", 9));
});

test("without virtual servers, or with foreign ones alone, there are no sentinels", () => {
  expect([...sentinelsOf([]).sentinels.take()]).toEqual([]);
  expect([...sentinelsOf(numbered("f", 1000)).sentinels.take()]).toEqual([]);
});

test("one missing sentinel is read again, all of them mean that everything of ours is", () => {
  const { sentinels, invalidated } = sentinelsOf(["s0", "s1", "s2", "f"]);
  sentinels.lose([key("s1"), key("gone")], false);
  expect([...invalidated]).toEqual(["s1"]);
  sentinels.lose([key("s0"), key("s2")], true);
  expect([...invalidated]).toEqual(["s1", "s0", "s2"]);
});

test("each second the sentinels are looked for, what is missing is reported, and a kernel that fails is asked again", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const missing: [keys: string[], areAll: boolean][] = [];
  let answer: () => Promise<ReadonlySet<VirtualServerKey>> = async () => new Set([key("a"), key("b")]);
  let probes = 0;
  const running = watchSentinels(
    {
      clock,
      sentinels: () => new Set([key("a"), key("b")]),
      present: () => {
        probes++;
        return answer();
      },
      onMissing: (keys, areAll) => missing.push([[...keys], areAll]),
    },
    stop.signal,
  );
  await clock.advance(3_000);
  expect([probes, missing]).toEqual([3, []]);
  answer = async () => {
    throw new KernelError("lost");
  };
  await clock.advance(1_000);
  answer = async () => new Set([key("b")]);
  await clock.advance(1_000);
  expect([probes, missing]).toEqual([5, [[["a"], false]]]);
  stop.abort();
  await running;
});
