const PENDING = "## Pending\n";

/** What has changed since the last release, as it stands in CHANGELOG.md. Throws if nothing has. */
export function pendingChanges(changelog: string): string {
  const [, rest] = changelog.split(PENDING);
  if (rest === undefined) throw new Error('CHANGELOG.md has no section "Pending"');
  const [section = ""] = rest.split(/^## /m);
  if (section.trim() === "")
    throw new Error('The section "Pending" of CHANGELOG.md is empty: there is nothing to release');
  return section.trim();
}

/** The changelog with the pending changes under a version and a date (YYYY-MM-DD), and an empty section for the next ones. */
export function releasedChangelog(changelog: string, version: string, date: string): string {
  pendingChanges(changelog);
  return changelog.replace(PENDING, `${PENDING}\n## ${version} (${date})\n`);
}

/** Why a version may not follow the released ones; "" if it may. */
export function versionProblem(version: string, tags: readonly string[]): string {
  const numbers = parse(version);
  if (numbers === undefined) return `"${version}" is not MAJOR.MINOR.PATCH`;
  const latest = newest(tags);
  if (latest === undefined || compare(numbers, latest) > 0) return "";
  return `"${version}" does not follow ${latest.join(".")}`;
}

function parse(version: string): readonly number[] | undefined {
  return /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.test(version) ? version.split(".").map(Number) : undefined;
}

function newest(tags: readonly string[]): readonly number[] | undefined {
  const versions = tags.map((tag) => parse(tag.replace(/^v/, ""))).filter((one) => one !== undefined);
  return versions.toSorted(compare).at(-1);
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((number, index) => number !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
