import { useEffect, useRef, useState } from "preact/hooks";
import { decades, duration, timeOfDay } from "./format.ts";

export interface ChartPoint {
  readonly atUnixMs: number;
  readonly mean: number;
  readonly max: number;
  /** What the point is made of, as "3 syncs". */
  readonly note: string;
}

interface ChartProperties {
  readonly title: string;
  readonly points: readonly ChartPoint[];
  /** The right end. */
  readonly nowMs: number;
  /** The text instead of a chart without points. */
  readonly empty: string;
}

const HOUR_MS = 3_600_000;
const QUARTER_MS = 900_000;
/** Longer pauses interrupt the line. */
const GAP_MS = 150_000;
const HEIGHT = 170;
const LEFT = 58;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 24;

/** A chart of durations over the last hour, the longest and the mean. Its scale is logarithmic, because one late sync would flatten the rest. */
export function Chart({ title, points, nowMs, empty }: ChartProperties) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [chosen, choose] = useState<ChartPoint>();
  const last = points.at(-1);
  const scale = decades(points.flatMap(({ mean, max }) => [mean, max]));
  const [bottom = 1, top = 10] = [scale[0], scale.at(-1)];
  const x = (unixMs: number) => LEFT + ((unixMs - nowMs + HOUR_MS) / HOUR_MS) * (width - LEFT - RIGHT);
  const height = (ms: number) => Math.log10(Math.max(ms, bottom) / bottom) / Math.log10(top / bottom);
  const y = (ms: number) => TOP + (1 - height(ms)) * (HEIGHT - TOP - BOTTOM);
  const nearest = (event: PointerEvent) => {
    const at = event.clientX - (box.current?.getBoundingClientRect().left ?? 0);
    const distance = ({ atUnixMs }: ChartPoint) => Math.abs(x(atUnixMs) - at);
    choose(points.reduce<ChartPoint | undefined>((best, one) => closer(best, one, distance), undefined));
  };
  const shown = chosen ?? last;
  return (
    <figure class="panel chart">
      <figcaption>
        <h2>{title}</h2>
        <span class="reading">
          {shown === undefined
            ? ""
            : `${timeOfDay(shown.atUnixMs)}: ${duration(shown.max)} at most, ${duration(shown.mean)} on average, ${shown.note}`}
        </span>
      </figcaption>
      <div ref={box} class="plot">
        {points.length === 0 ? (
          <p class="waiting">{empty}</p>
        ) : (
          <svg
            width={width}
            height={HEIGHT}
            role="img"
            aria-label={summary(title, points)}
            onPointerMove={nearest}
            onPointerLeave={() => choose(undefined)}
          >
            {scale.map((ms) => (
              <g key={ms} class="grid">
                <line x1={LEFT} x2={width - RIGHT} y1={y(ms)} y2={y(ms)} />
                <text x={LEFT - 8} y={y(ms) + 4} text-anchor="end">
                  {duration(ms)}
                </text>
              </g>
            ))}
            {quarters(nowMs).map((unixMs) => (
              <text key={unixMs} class="hour" x={x(unixMs)} y={HEIGHT - 6} text-anchor="middle">
                {timeOfDay(unixMs)}
              </text>
            ))}
            <path class="mean" d={lines(points, ({ atUnixMs, mean }) => [x(atUnixMs), y(mean)])} />
            <path class="max" d={lines(points, ({ atUnixMs, max }) => [x(atUnixMs), y(max)])} />
            {chosen && (
              <g class="cursor">
                <line x1={x(chosen.atUnixMs)} x2={x(chosen.atUnixMs)} y1={TOP} y2={HEIGHT - BOTTOM} />
                <circle cx={x(chosen.atUnixMs)} cy={y(chosen.max)} r="4" />
              </g>
            )}
          </svg>
        )}
      </div>
      {points.length > 0 && (
        <p class="legend">
          <span class="key max" /> longest <span class="key mean" /> mean, in steps of 10 s
        </p>
      )}
    </figure>
  );
}

function closer(
  best: ChartPoint | undefined,
  one: ChartPoint,
  distance: (point: ChartPoint) => number,
): ChartPoint | undefined {
  return best === undefined || distance(one) < distance(best) ? one : best;
}

function summary(title: string, points: readonly ChartPoint[]): string {
  const last = points.at(-1);
  const longest = Math.max(...points.map(({ max }) => max));
  return `${title}: ${duration(last?.mean ?? 0)} at ${timeOfDay(last?.atUnixMs ?? 0)}, at most ${duration(longest)} in the last hour`;
}

/** The full quarters of an hour, not at the edges. */
function quarters(nowMs: number): readonly number[] {
  const last = Math.floor((nowMs - QUARTER_MS / 5) / QUARTER_MS) * QUARTER_MS;
  return [3, 2, 1, 0].map((back) => last - back * QUARTER_MS).filter((at) => at > nowMs - HOUR_MS + QUARTER_MS / 5);
}

/** A path through the points, interrupted by pauses. A point alone is a dot, which round line ends draw. */
function lines(points: readonly ChartPoint[], place: (point: ChartPoint) => readonly [number, number]): string {
  let before = Number.NEGATIVE_INFINITY;
  return points
    .map((point) => {
      const [x, y] = place(point).map((value) => value.toFixed(1));
      const isNew = point.atUnixMs - before > GAP_MS;
      before = point.atUnixMs;
      return isNew ? `M${x} ${y}h.01` : `L${x} ${y}`;
    })
    .join("");
}

/** The width of the element, which follows that of the window. */
function useWidth(box: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(320);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(200, element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}
