/** Ports from the first to the last, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Reads ports as the kernel prints them: "32768\t60999" is one range, "80,30000-32767" are two, and "" is none. */
export function parsePortRanges(text: string): readonly PortRange[] {
  return [...text.matchAll(/(\d+)(?:[-\s]+(\d+))?/g)].map(([, first, last = first]) => ({
    first: Number(first),
    last: Number(last),
  }));
}

export function rangeContains({ first, last }: PortRange, port: number): boolean {
  return first <= port && port <= last;
}

/** "80,30000-32767", as the kernel takes it. */
export function portRangesText(ranges: readonly PortRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join();
}
