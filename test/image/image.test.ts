import { globSync, readFileSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { NODE_FLAGS } from "../../build.ts";
import { finished, output } from "../support/node/namespace.ts";
import { BUILT_IMAGE, IMAGE_ROOT } from "../support/packaging/image-folder.ts";

const ROOT = join(import.meta.dirname, "../..");
const MB = 1_000_000;

/** Runs a program of the image as a container would find it, without the rest of a container. */
const inImage = (...argv: readonly string[]) =>
  finished(["chroot", IMAGE_ROOT, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin", ...argv]);

describe("the image", () => {
  test("has at most 112 MB, 89 of them Node.js, and 40 MB compressed", async () => {
    const sizes = await Promise.all(BUILT_IMAGE.files().map((path) => stat(path)));
    expect(sizes.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(112 * MB);
    expect((await stat(join(IMAGE_ROOT, "usr/bin/node"))).size).toBeLessThan(89 * MB);
    expect((await stat(BUILT_IMAGE.archive)).size).toBeLessThan(40 * MB);
  });

  test("has the programs that the agent starts, no shell and no package manager", () => {
    const iptables = ["ip6tables", "iptables"].flatMap((name) =>
      ["", "-legacy", "-nft"].flatMap((backend) => ["", "-restore", "-save"].map((suffix) => name + backend + suffix)),
    );
    const multi = ["xtables-legacy-multi", "xtables-nft-multi"];
    const names = ["env", "ip", "kmod", "kube-ipvs", "modprobe", "node", "setpriv", ...iptables, ...multi];
    const found = globSync(["bin/*", "sbin/*"], { cwd: join(IMAGE_ROOT, "usr") });
    expect(found.map((path) => basename(path)).toSorted()).toEqual(names.toSorted());
  });

  test.each([
    [["kube-ipvs", "--version"], /^kube-ipvs \d+\.\d+\.\d+\n$/],
    [["node", "--version"], new RegExp(`^${process.version}\n$`)],
    [["ip", "-V"], /^ip utility/],
    [["modprobe", "--version"], /^kmod version/],
    [["setpriv", "--version"], /^setpriv/],
    [["iptables-legacy-save", "--version"], /legacy/],
    [["ip6tables-nft-restore", "--version"], /nf_tables/],
    [["iptables", "-j", "MASQUERADE", "--help"], /MASQUERADE target options/],
  ])("%j runs in it", async (argv, text) => {
    expect(await inImage(...argv)).toMatchObject({ code: 0, out: expect.stringMatching(text) });
  });

  test("plans Services as the sources do", async () => {
    const shop = join(IMAGE_ROOT, "tmp/shop");
    await output(["cp", "-r", join(ROOT, "examples/shop"), shop]);
    onTestFinished(() => rm(shop, { recursive: true }));
    const { code, out } = await inImage("kube-ipvs", "plan", "--manifests=/tmp/shop", "--node-name=node-1");
    expect([code, out]).toEqual([0, expect.stringContaining("-A -t 10.96.0.10:443 -s rr")]);
  });

  test("runs the documented command with the variables of the container, without a shell", async () => {
    const readme = await readFile(join(ROOT, "README.md"), "utf8");
    const [, command = ""] = /exec POD -- env -S '(.+)'/.exec(readme) ?? [];
    const variables = ["API_SERVERS=https://a.invalid:1,https://b.invalid", "CLUSTER_CIDR="];
    const argv = ["env", ...variables, "env", "-S", `${command.replace("kube-ipvs diff", "kube-ipvs diff --help")}`];
    expect(await inImage(...argv)).toMatchObject({ code: 0, out: expect.stringContaining("Usage: kube-ipvs diff") });
  });

  test.each([
    ["xz", ".xz"],
    ["zstd", ".zst"],
  ])("its modprobe reads modules that are compressed with %s", async (compressor, suffix) => {
    const folder = await mkdtemp(join(IMAGE_ROOT, "tmp/modules-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    // Any ELF file: modprobe reads it, and finds that it is no module.
    await copyFile(join(IMAGE_ROOT, "usr/bin/env"), join(folder, "a.ko"));
    await output([compressor, "-q", join(folder, "a.ko")]);
    const path = `/tmp/${basename(folder)}/a.ko${suffix}`;
    expect(await inImage("modprobe", "--show-modversions", path)).toMatchObject({
      err: `modprobe: FATAL: could not get modversions of ${path}: No data available\n`,
    });
  });

  test("has the extensions of iptables that the rules use", () => {
    const fixtures = join(ROOT, "test/unit/kernel/iptables/fixtures");
    const rules = globSync("*-save.txt", { cwd: fixtures }).map((name) => readFileSync(join(fixtures, name), "utf8"));
    const used = new Set([...rules.join("\n").matchAll(/-m (\w+)|-j ([A-Z]+)(?= |$)/gm)].map(([, m, j]) => m ?? j));
    const there = globSync("usr/lib/*/xtables/lib*.so", { cwd: IMAGE_ROOT }).map((path) => basename(path));
    const standard = new Set(["ACCEPT", "DROP", "RETURN"]);
    const missing = [...used].filter(
      (name) => !standard.has(`${name}`) && !there.some((file) => new RegExp(`_${name}.so$`).test(file)),
    );
    expect(used.size).toBeGreaterThan(5);
    expect(missing).toEqual([]);
  });

  test("starts the bundle with the flags of Node.js that its first line has", async () => {
    const { config } = await BUILT_IMAGE.config();
    expect(config.config).toMatchObject({ Entrypoint: ["/usr/bin/kube-ipvs"], Env: ["PATH=/usr/sbin:/usr/bin"] });
    const [first] = (await readFile(join(IMAGE_ROOT, "opt/kube-ipvs/kube-ipvs.mjs"), "utf8")).split("\n", 1);
    expect(first).toBe(`#!/usr/bin/env -S node ${NODE_FLAGS.join(" ")}`);
  });

  test("has labels with its version, commit and license", async () => {
    const { config, manifest } = await BUILT_IMAGE.config();
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    expect(config.config.Labels).toMatchObject({
      "org.opencontainers.image.title": "kube-ipvs",
      "org.opencontainers.image.licenses": "Apache-2.0",
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.revision": expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    expect(manifest.layers.length).toBe(1);
  });

  test("has the licenses of the bundle, of Node.js and of each Debian package, and what scanners read of the packages", async () => {
    const names = globSync("var/lib/dpkg/status.d/*", { cwd: IMAGE_ROOT }).map((path) => basename(path));
    expect(names).toEqual(expect.arrayContaining(["iproute2", "iptables", "kmod", "libc6", "ca-certificates"]));
    for (const name of [...names, "nodejs"])
      expect((await stat(join(IMAGE_ROOT, "usr/share/doc", name, "copyright"))).size).toBeGreaterThan(100);
    for (const name of ["THIRD-PARTY-NOTICES.txt", "kube-ipvs.cdx.json"])
      expect((await stat(join(IMAGE_ROOT, "opt/kube-ipvs", name))).size).toBeGreaterThan(1_000);
  });
});
