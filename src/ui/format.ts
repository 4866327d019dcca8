const NUMBER = new Intl.NumberFormat("en");

/** A whole number with separators: "10,000". */
export function count(value: number): string {
  return NUMBER.format(value);
}

/** A number with its noun: "1 error", "2 errors". */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** A duration with three digits: "0.42 ms", "42 ms", "4.2 s", "4 min". */
export function duration(ms: number): string {
  if (ms === 0) return "0";
  if (ms < 10) return `${trimmed(ms, 2)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${trimmed(ms / 1_000, 1)} s`;
  return span(ms);
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

/** A time span in its largest unit: "12 s", "5 min", "3 h", "8 d". */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** How long ago: "now", "12 s ago", "never". */
export function ago(unixMs: number, nowMs: number): string {
  if (unixMs === 0) return "not yet";
  return nowMs - unixMs < 2_000 ? "now" : `${span(nowMs - unixMs)} ago`;
}

/** The time of day: "14:05". */
export function timeOfDay(unixMs: number): string {
  return new Date(unixMs).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

/** The powers of ten around positive values: [1, 10, 100] for values from 3 to 42. At least two, and none below 0.1. */
export function decades(values: readonly number[]): readonly number[] {
  const exponents = values.map((value) => Math.log10(Math.max(value, 0.1)));
  const lowest = Math.floor(Math.min(...exponents));
  const highest = Math.max(Math.ceil(Math.max(...exponents)), lowest + 1);
  return Array.from({ length: highest - lowest + 1 }, (_, index) => 10 ** (lowest + index));
}
