/** The text of a secret as a header value. Throws if it has a control character or is not ASCII. */
export function headerText(value: string, label: string): string {
  const text = value.trim();
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  throw new Error(`Cannot use ${label}: it contains a line break or another character that a header cannot have`);
}
