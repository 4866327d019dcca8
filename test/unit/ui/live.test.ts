import { expect, test } from "vitest";
import type { HistoryPoint, PageOverview, ServicePage } from "../../../src/explain/page/page-messages.ts";
import { after, START } from "../../../src/ui/live.ts";

const point = (step: number, syncs = 1) => ({ step, syncs }) as HistoryPoint;
const overview = (atUnixMs: number) => ({ atUnixMs }) as PageOverview;

test("a message shows that the connection is live, and how the clocks differ", () => {
  expect(after(START, { overview: overview(1_000) }, 1_250)).toMatchObject({ connection: "live", skewMs: 250 });
});

test("a lost connection keeps what was shown", () => {
  const services = { total: 3 } as ServicePage;
  const shown = after(after(START, { services }, 0), { connection: "lost" }, 0);
  expect(shown).toMatchObject({ connection: "lost", services });
});

test("points are added to the earlier ones, replace those of the same step, and are replaced as a whole by a new connection", () => {
  const whole = after(START, { history: { isWhole: true, points: [point(1), point(2)] } }, 0);
  const grown = after(whole, { history: { isWhole: false, points: [point(2, 5), point(3)] } }, 0);
  expect(grown.points).toEqual([point(1), point(2, 5), point(3)]);
  expect(after(grown, { history: { isWhole: false, points: [] } }, 0).points).toEqual(grown.points);
  expect(after(grown, { history: { isWhole: true, points: [point(9)] } }, 0).points).toEqual([point(9)]);
});

test("no more than an hour of points is kept", () => {
  const points = Array.from({ length: 360 }, (_, step) => point(step));
  const shown = after(
    after(START, { history: { isWhole: true, points } }, 0),
    { history: { isWhole: false, points: [point(360)] } },
    0,
  );
  expect([shown.points.length, shown.points[0]?.step]).toEqual([360, 1]);
});
