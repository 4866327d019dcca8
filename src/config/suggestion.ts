import { closestMatch } from "leven";

/**
 * Returns a clause that names the candidate most similar to a misspelt name, as `: did you mean "--config"?`; "" if none is
 * similar. Upper and lower case and hyphens do not matter.
 */
export function suggestion(name: string, candidates: readonly string[]): string {
  const byPlainName = new Map(candidates.map((candidate) => [plain(candidate), candidate]));
  const target = plain(name);
  const closest = closestMatch(target, [...byPlainName.keys()], { maxDistance: Math.floor(target.length / 3) });
  const candidate = closest === undefined ? undefined : byPlainName.get(closest);
  return candidate === undefined ? "" : `: did you mean ${candidate}?`;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll("-", "");
}
