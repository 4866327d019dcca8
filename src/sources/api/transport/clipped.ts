const LONGEST = 300;

/** The first 300 characters of an external text, on one line and without control characters, for a log or a terminal. */
export function clipped(text: string): string {
  const line = text
    .slice(0, 4 * LONGEST)
    .replace(/[\s\p{C}]+/gu, " ")
    .trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
