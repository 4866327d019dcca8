export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Returns percentiles by nearest rank. */
export function distribution(samples: readonly number[]): Distribution {
  const at = (share: number): number => percentile(samples, share);
  return { count: samples.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/** Returns the percentile by nearest rank, for a share from 0 to 1; NaN without samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Formats a number with three significant digits. */
export function short(value: number): number {
  return Number(value.toPrecision(3));
}

/** Returns the median; for an even number of samples it is the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const above = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const below = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (above + below) / 2;
}

/** A value with the range in which it was found. */
export interface Spread {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** The value of repeated measurements: their median, with the least and the largest. */
export function spreadOf(samples: readonly number[]): Spread {
  return { value: median(samples), low: Math.min(...samples), high: Math.max(...samples) };
}

/** Samples are divided into at most so many consecutive parts to find how much a percentile varies. */
const PARTS = 5;
/** A part with fewer samples says nothing about a percentile. */
const LEAST_OF_A_PART = 10;

/**
 * A percentile of all samples, with the least and the largest of the same percentile of consecutive parts, in the order in
 * which they were measured. Machines are noisy for seconds at a time, so that parts differ more than samples taken at random.
 * With fewer than twenty samples the range is that of all samples.
 */
export function percentileSpread(samples: readonly number[], share: number): Spread {
  const parts = Math.min(PARTS, Math.floor(samples.length / LEAST_OF_A_PART));
  const value = percentile(samples, share);
  if (parts < 2) return { value, low: Math.min(...samples), high: Math.max(...samples) };
  const size = samples.length / parts;
  const values = Array.from({ length: parts }, (_, part) =>
    percentile(samples.slice(Math.round(part * size), Math.round((part + 1) * size)), share),
  );
  return { value, low: Math.min(value, ...values), high: Math.max(value, ...values) };
}
