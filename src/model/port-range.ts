/** Ports from the first to the last, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads port ranges as the kernel prints them: "32768\t60999" is one range, "80,30000-32767" are two, and "" is none.
 */
export function parsePortRanges(text: string): readonly PortRange[] {
  return [...text.matchAll(/(\d+)(?:[-\s]+(\d+))?/g)].map(([, first, last = first]) => ({
    first: Number(first),
    last: Number(last),
  }));
}

export function rangeContains({ first, last }: PortRange, port: number): boolean {
  return first <= port && port <= last;
}

/** Formats port ranges as the kernel reads them: "80,30000-32767". */
export function portRangesText(ranges: readonly PortRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join();
}
