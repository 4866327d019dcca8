import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { finished } from "../support/node/namespace.ts";
import { ARM64_IMAGE, BUILT_IMAGE } from "../support/packaging/image-folder.ts";

/** The image for arm64, which is built on this machine without running a program of it. Here QEMU runs some of them. */
const MB = 1_000_000;
const { root } = ARM64_IMAGE;

test("has at most 116 MB and 40 MB compressed", async () => {
  const sizes = await Promise.all(ARM64_IMAGE.files().map((path) => stat(path)));
  expect(sizes.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(116 * MB);
  expect((await stat(ARM64_IMAGE.archive)).size).toBeLessThan(40 * MB);
});

test("is for arm64, with the labels and the command of the other image", async () => {
  const { config } = await ARM64_IMAGE.config();
  const { config: native } = await BUILT_IMAGE.config();
  expect(config).toMatchObject({ architecture: "arm64", os: "linux" });
  expect(config.config).toEqual(native.config);
});

test("has the files of the other image, but for the names of the architecture", () => {
  const names = (image: typeof ARM64_IMAGE) =>
    image
      .files()
      .map((path) => relative(image.root, path))
      // What containers of the tests leave there.
      .filter((path) => !path.startsWith("run/"))
      .map((path) => path.replace(/(x86_64|aarch64)-linux-gnu/, "LIBRARIES").replace(/linux-(x64|arm64)/, "linux-NODE"))
      .map((path) => path.replace(/ld-linux-(x86-64\.so\.2|aarch64\.so\.1)/, "LOADER"))
      .toSorted();
  expect(names(ARM64_IMAGE)).toEqual(names(BUILT_IMAGE));
});

test("has programs and libraries for AArch64 alone", () => {
  const machines = ARM64_IMAGE.files().flatMap((path) => {
    const bytes = readFileSync(path);
    return bytes.toString("latin1", 0, 4) === "\x7fELF" ? [bytes.readUInt16LE(18)] : [];
  });
  expect(machines.length).toBeGreaterThan(130);
  expect(new Set(machines)).toEqual(new Set([183]));
});

// The runner's loader would fail only when a program is started.
test.each([
  ["arm64", ARM64_IMAGE],
  ["this machine", BUILT_IMAGE],
])("the image for %s has each library that a file in it is linked with", async (_, image) => {
  const { out } = await finished(["readelf", "-dW", ...image.files().filter((path) => isElf(path))]);
  const needed = new Set([...out.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name = ""]) => name));
  const { out: found } = await finished(["find", join(image.root, "usr/lib"), "-name", "*.so*"]);
  const there = new Set(found.split("\n").map((path) => basename(path)));
  expect(needed.size).toBeGreaterThan(15);
  expect([...needed].filter((name) => !there.has(name))).toEqual([]);
});

const isElf = (path: string): boolean => readFileSync(path).toString("latin1", 0, 4) === "\x7fELF";

describe("QEMU runs", () => {
  const BUNDLE = join(root, "opt/kube-ipvs/kube-ipvs.mjs");
  test.each([
    [["usr/bin/node", "--version"], new RegExp(`^${process.version}\n$`)],
    [["usr/bin/node", BUNDLE, "--version"], /^kube-ipvs \d+\.\d+\.\d+\n$/],
    [["usr/bin/ip", "-V"], /^ip utility/],
    [["usr/bin/modprobe", "--version"], /^kmod version/],
    [["usr/bin/setpriv", "--version"], /^setpriv/],
    [["usr/sbin/iptables-legacy-save", "--version"], /legacy/],
    [["usr/sbin/ip6tables-nft-restore", "--version"], /nf_tables/],
  ])("%j", async ([program = "", ...argv], text) => {
    const run = await finished(["qemu-aarch64-static", "-L", root, join(root, program), ...argv]);
    expect(run).toMatchObject({ code: 0, out: expect.stringMatching(text) });
  });
});
