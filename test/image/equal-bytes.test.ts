import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { output } from "../support/node/namespace.ts";
import { ARM64_IMAGE, BUILT_IMAGE, ImageFolder } from "../support/packaging/image-folder.ts";

const ROOT = join(import.meta.dirname, "../..");

test.concurrent.for([
  { name: "this machine", image: BUILT_IMAGE, architecture: [] },
  { name: "arm64", image: ARM64_IMAGE, architecture: ["arm64"] },
])("a second build for $name makes the same bytes", async ({ name, image, architecture }, { onTestFinished }) => {
  const folder = join(ROOT, ".cache/image-again", name.replace(" ", "-"));
  await mkdir(folder, { recursive: true });
  onTestFinished(() => rm(folder, { recursive: true }));
  await output(["bash", join(ROOT, "packaging/image/build.sh"), folder, ...architecture]);
  const sums = await output(["sha256sum", image.archive, new ImageFolder(folder).archive]);
  const [first, second] = sums.split("\n").map((line) => line.split(" ", 1)[0]);
  expect(second).toBe(first);
});
