import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Version } from "@cyclonedx/cyclonedx-library/Spec";
import { JsonStrictValidator } from "@cyclonedx/cyclonedx-library/Validation";
import { afterAll, beforeAll, expect, test } from "vitest";
import { NOTICES, SBOM } from "../../packaging/bill-of-materials.ts";
import { notices } from "../../packaging/notices.ts";
import { patient } from "../support/time/patience.ts";

const run = promisify(execFile);
let folder: string;
let bundle: string;
let noticed: string;
let sbom: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kube-ipvs-licenses-"));
  [bundle = "", noticed = "", sbom = ""] = await built("first");
}, patient(60_000));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The bundle, the notices and the SBOM of a build. */
async function built(name: string): Promise<readonly string[]> {
  await run(process.execPath, ["build.ts", join(folder, name)]);
  return Promise.all(["kube-ipvs.mjs", NOTICES, SBOM].map((file) => readFile(join(folder, name, file), "utf8")));
}

/** The packages in the files of the status page, which have no comments. */
const PAGE_PACKAGES = ["preact"];

/** The packages in the bundle, by the comments that esbuild puts above each module, and those of the page. */
function bundledPackages(): readonly string[] {
  const names = [...bundle.matchAll(/^\s*\/\/ (?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)].map(
    ([, name = ""]) => name,
  );
  return [...new Set([...names, ...PAGE_PACKAGES])].toSorted();
}

/** The notices, one for each package: its license and the text. */
function sections(): readonly { readonly name: string; readonly license: string; readonly text: string }[] {
  const [, ...parts] = noticed.split(/^=+\n(.+) \S+ \((.+)\)\n=+\n/m);
  return Array.from({ length: parts.length / 3 }, (_, at) => {
    const [name = "", license = "", text = ""] = parts.slice(at * 3, at * 3 + 3);
    return { name, license, text };
  });
}

/** What the text of each license contains; all of them allow what an operator does with the bundle. */
const PHRASES: Readonly<Record<string, RegExp>> = {
  "Apache-2.0": /Apache License\s+Version 2\.0, January 2004[\s\S]*END OF TERMS AND CONDITIONS/,
  "BSD-3-Clause": /Redistributions in binary form must reproduce[\s\S]*endorse or\s+promote\s+products/i,
  ISC: /Permission to use, copy, modify, and\/or distribute this software/,
  MIT: /Permission is hereby granted, free of charge[\s\S]*THE SOFTWARE IS PROVIDED .AS IS./,
};

test("the notices have the full text of the license of each package in the bundle", () => {
  const packages = bundledPackages();
  expect(packages.length).toBeGreaterThan(40);
  expect([...new Set(sections().map(({ name }) => name))].toSorted()).toEqual(
    [...packages, "node-addon-api"].toSorted(),
  );
  for (const { name, license, text } of sections())
    expect([name, text]).toEqual([name, expect.stringMatching(PHRASES[license] ?? /^$/)]);
  expect(noticed).toContain("formdata-polyfill. MIT License. Jimmy Wärting");
});

test("the SBOM is a valid CycloneDX document that lists the packages in the bundle with version, license and purl", async () => {
  expect(await new JsonStrictValidator(Version.v1dot6).validate(sbom)).toBe(null);
  const { components, metadata } = JSON.parse(sbom);
  const { version } = JSON.parse(await readFile("package.json", "utf8"));
  const names = components.map(({ group, name }: { group?: string; name: string }) =>
    group === undefined ? name : `${group}/${name}`,
  );
  expect([...new Set(names)].toSorted()).toEqual(bundledPackages());
  expect(metadata.component).toMatchObject({ name: "kube-ipvs", version, type: "application" });
  for (const component of components)
    expect(component).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      licenses: [{ license: { id: expect.stringMatching(/./) } }],
      purl: expect.stringMatching(/^pkg:npm\//),
    });
});

test("two builds write equal bytes", async () => {
  expect(await built("second")).toEqual([bundle, noticed, sbom]);
});

test("a package without a text of its license fails the build by its name", () => {
  const bare = { name: "@scope/bare", version: "1.0.0", license: "MIT", texts: [] };
  expect(() => notices([bare], "")).toThrow(/Package "@scope\/bare" contains no text .*licenses\/@scope-bare\.txt/);
});
