import { spawnSync } from "node:child_process";

const { REQUIRE_ALL: REQUIRED } = process.env;

/**
 * Whether the tests that need this program are skipped: `npm run check` installs nothing and goes without. In `npm test`, which
 * sets REQUIRE_ALL, they fail where it cannot be had.
 */
export function isMissing(program: string): boolean {
  return REQUIRED === undefined && spawnSync(program, ["--version"]).error !== undefined;
}
