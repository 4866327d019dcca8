import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { architectureOf, DebianSystem } from "../../../packaging/image/debian-system.ts";

const BINDING = join(import.meta.dirname, "../../../node_modules/netlink/prebuilds/linux-arm64/node.napi.node");
const LIBRARIES = "usr/lib/aarch64-linux-gnu";
const folder = mkdtempSync(join(tmpdir(), "debian-"));
let system: DebianSystem;

/** A system of one package, whose program is linked with libraries. */
beforeAll(() => {
  for (const name of ["usr/bin", LIBRARIES, "var/lib/dpkg/info"]) mkdirSync(join(folder, name), { recursive: true });
  symlinkSync("usr/bin", join(folder, "bin"));
  symlinkSync("/etc/hostname", join(folder, "usr/bin/outside"));
  copyFileSync(BINDING, join(folder, "usr/bin/tool-1"));
  symlinkSync("tool-1", join(folder, "usr/bin/tool"));
  writeFileSync(join(folder, "var/lib/dpkg/info/tools.list"), "/.\n/usr\n/usr/bin\n/usr/bin/tool-1\n");
  writeFileSync(
    join(folder, "var/lib/dpkg/info/tools.control"),
    "Package: tools\nVersion: 1\nDescription: two\n lines\n",
  );
  system = new DebianSystem(folder, "arm64");
});

afterAll(() => rmSync(folder, { recursive: true }));

test("a program is found by its name, and its file by the links", () => {
  expect(system.program("tool")).toBe("/usr/bin/tool");
  expect(system.follow("/bin/tool")).toBe("/usr/bin/tool-1");
  expect(() => system.program("other")).toThrow(/^other is not in \/usr\/bin or \/usr\/sbin/);
});

test("a link that leads out of the system is refused", () => {
  expect(() => system.follow("/usr/bin/outside")).toThrow(/^\/usr\/bin\/outside leads out of .*, to \/etc\/hostname$/);
});

test("each file has a package, and scanners see it as installed", () => {
  expect(system.owner("/usr/bin/tool-1")).toBe("tools");
  expect(() => system.owner("/usr/bin/tool")).toThrow("No package has /usr/bin/tool");
  expect(system.status("tools")).toBe(
    "Package: tools\nStatus: install ok installed\nVersion: 1\nDescription: two\n lines\n",
  );
});

describe("libraries", () => {
  test("that are missing are an error with their name", () => {
    expect(() => system.libraries(readFileSync(BINDING))).toThrow(/^lib\S+ is not in \/usr\/lib\/aarch64-linux-gnu or/);
  });

  test("are those that readelf prints", () => {
    // Files that need no others: ELF without a dynamic table.
    const empty = Buffer.alloc(128);
    empty.write("\x7fELF\x02\x01", 0, "latin1");
    empty.writeBigUInt64LE(64n, 40);
    const names = ["ld-linux-aarch64.so.1", "libc.so.6", "libgcc_s.so.1", "libpthread.so.0", "libstdc++.so.6"];
    for (const name of names) writeFileSync(join(folder, LIBRARIES, name), empty);
    expect(system.libraries(readFileSync(BINDING))).toEqual(names.map((name) => `/${LIBRARIES}/${name}`));
  });
});

test("an architecture without an image is refused", () => {
  expect(architectureOf("arm64")).toBe("arm64");
  expect(() => architectureOf("riscv64")).toThrow(/amd64 and arm64 are known/);
});
