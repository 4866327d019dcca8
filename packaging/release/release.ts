/**
 * `npm run release -- VERSION [--write]`: makes a release. Without --write it is tried: nothing in the repository changes.
 *
 * 1. Refuses if the work tree has changes, the version does not follow the tags, "Pending" in CHANGELOG.md is empty, or `npm test`
 *    is not green (with --write only, since it takes long).
 * 2. Writes the version and the date into CHANGELOG.md, package.json and the manifests, commits, and sets the tag. It pushes nothing.
 * 3. Puts into .cache/release: the single manifests, the images, SBOM, notices, the text of the release, and their checksums.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { NOTICES, SBOM } from "../bill-of-materials.ts";
import { pendingChanges, releasedChangelog, versionProblem } from "./changelog.ts";

const FOLDER = ".cache/release";
const TEST_LOG = ".cache/release-test.log";
const ARCHITECTURES = ["amd64", "arm64"];
/** Debian packages that earlier builds have fetched. */
const OLD_PACKAGES = ".cache/debian";

const run = (program: string, ...args: readonly string[]) => execFileSync(program, args, { encoding: "utf8" }).trim();
const show = (program: string, ...args: readonly string[]) => execFileSync(program, args, { stdio: "inherit" });

/** Throws if this version may not be released from this work tree. Returns what has changed. */
function check(version: string): string {
  const changed = run("git", "status", "--porcelain");
  if (changed !== "") throw new Error(`The work tree has changes:\n${changed}`);
  const problem = versionProblem(version, run("git", "tag", "--list", "v*").split("\n"));
  if (problem !== "") throw new Error(problem);
  return pendingChanges(readFileSync("CHANGELOG.md", "utf8"));
}

/** Throws if a test fails or is skipped. What the tests print is shown, and kept in TEST_LOG. */
function checkTests(): void {
  mkdirSync(dirname(TEST_LOG), { recursive: true });
  show("bash", "-c", `npm test --silent | tee ${TEST_LOG}`);
  const lastLine = readFileSync(TEST_LOG, "utf8").trim().split("\n").at(-1) ?? "";
  if (!/^\d+ passed, 0 failed, 0 skipped$/.test(lastLine)) throw new Error(`npm test is not green: ${lastLine}`);
}

/** Writes the version into all files that have it, commits and sets the tag. */
function writeVersion(version: string, date: string): void {
  writeFileSync("CHANGELOG.md", releasedChangelog(readFileSync("CHANGELOG.md", "utf8"), version, date));
  run("npm", "version", version, "--no-git-tag-version", "--allow-same-version");
  const base = "manifests/base/kustomization.yaml";
  writeFileSync(base, readFileSync(base, "utf8").replace(/newTag: .*/, `newTag: ${version}`));
  run("npm", "run", "manifests");
  run("git", "commit", "--all", "--message", `chore: release ${version}`);
  run("git", "tag", "--annotate", `v${version}`, "--message", `kube-ipvs ${version}`);
}

/** Builds everything that is published, and the file of checksums. */
function gather(changes: string): void {
  run("npm", "run", "build");
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const files = [`dist/${NOTICES}`, `dist/${SBOM}`, ...globSync("manifests/rendered/*.yaml")];
  for (const file of files) copyFileSync(file, join(FOLDER, basename(file)));
  rmSync(OLD_PACKAGES, { recursive: true, force: true });
  for (const architecture of ARCHITECTURES) {
    const folder = `.cache/image-${architecture}`;
    show("bash", "packaging/image/build.sh", folder, architecture);
    copyFileSync(`${folder}/kube-ipvs.tar`, join(FOLDER, `kube-ipvs-${architecture}.tar`));
  }
  writeFileSync(join(FOLDER, "RELEASE.md"), `${changes}\n`);
  const names = globSync("*", { cwd: FOLDER }).toSorted();
  const sums = names.map(
    (name) =>
      `${createHash("sha256")
        .update(readFileSync(join(FOLDER, name)))
        .digest("hex")}  ${name}\n`,
  );
  writeFileSync(join(FOLDER, "SHA256SUMS"), sums.join(""));
}

const { positionals, values } = parseArgs({ allowPositionals: true, options: { write: { type: "boolean" } } });
const [version = ""] = positionals;
try {
  const changes = check(version);
  if (values.write === true) {
    checkTests();
    writeVersion(version, new Date().toISOString().slice(0, 10));
  }
  gather(changes);
  console.log(`${FOLDER} has:\n${readFileSync(join(FOLDER, "SHA256SUMS"), "utf8")}`);
  console.log(
    values.write === true
      ? `Committed and tagged. To publish: git push --follow-tags`
      : `Tried only. To commit and tag: npm run release -- ${version} --write`,
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
