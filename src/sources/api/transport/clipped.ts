const LONGEST = 300;

/** The begin of a text that others wrote, on one line and without control characters, for a log or a terminal. */
export function clipped(text: string): string {
  const line = text
    .slice(0, 4 * LONGEST)
    .replace(/[\s\p{C}]+/gu, " ")
    .trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
