/**
 * `node assemble.ts ARCHITECTURE DEBIAN NODE DIST FOLDER`: puts the root file system of the image together in FOLDER, from the packages that
 * debian.sh has laid out, the package of Node.js on npm, and the folder of the bundle. Each program comes with the libraries that
 * it needs, the copyright of its package, and the entry by which scanners find the package.
 *
 * It starts no program, so that an image can be made on a machine of another architecture. All files get the time
 * SOURCE_DATE_EPOCH (by default 0), so that two runs make equal files.
 */
import {
  copyFileSync,
  cpSync,
  globSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { ARCHITECTURES, type Architecture, architectureOf, DebianSystem } from "./debian-system.ts";
import { trimNode } from "./trim-node.ts";

const PROGRAMS = ["env", "ip", "kmod", "setpriv", "xtables-legacy-multi", "xtables-nft-multi"];
const FOLDERS = [
  "usr/bin",
  "usr/sbin",
  "usr/lib",
  "usr/lib64",
  "usr/lib/modules",
  "etc/ssl/certs",
  "var/lib/dpkg/status.d",
];
const EMPTY_FOLDERS = ["proc", "sys", "dev", "run", "tmp", "opt"];
const FILES = {
  "etc/passwd": "root:x:0:0:root:/root:/nonexistent\n",
  "etc/group": "root:x:0:\n",
  "etc/nsswitch.conf": "hosts: files dns\n",
};

/** The root file system of the image in a folder, as it grows. */
class RootFolder {
  readonly #system: DebianSystem;
  readonly #folder: string;
  readonly #packages = new Set(["ca-certificates"]);

  constructor(system: DebianSystem, folder: string) {
    this.#system = system;
    this.#folder = folder;
    for (const name of [...FOLDERS, ...EMPTY_FOLDERS]) mkdirSync(this.at(name), { recursive: true });
    // As Debian lays it out: /bin, /lib and others are links into /usr.
    for (const name of ["bin", "sbin", "lib", "lib64"]) this.link(name, `usr/${name}`);
    this.link("var/run", "../run");
  }

  at(path: string): string {
    return join(this.#folder, path);
  }

  has(path: string): boolean {
    return lstatSync(this.at(path), { throwIfNoEntry: false }) !== undefined;
  }

  /** Makes a link, unless there is one. */
  link(path: string, target: string): void {
    if (!this.has(path)) symlinkSync(target, this.at(path));
  }

  /** Copies the file to which a path leads, with the link that leads there and its libraries. */
  copy(path: string): void {
    const target = this.#system.follow(path);
    if (!this.has(target)) {
      mkdirSync(dirname(this.at(target)), { recursive: true });
      copyFileSync(this.#system.at(target), this.at(target));
      this.#packages.add(this.#system.owner(target));
      this.copyLibraries(readFileSync(this.at(target)));
    }
    if (path !== target) this.link(path, relative(dirname(path), target));
  }

  copyLibraries(program: Buffer): void {
    for (const library of this.#system.libraries(program)) this.copy(library);
  }

  /** As dpkg and Debian's policy want it, for scanners and for the licenses. */
  describePackages(): void {
    for (const name of this.#packages) {
      writeFileSync(this.at(`var/lib/dpkg/status.d/${name}`), this.#system.status(name));
      this.#copyCopyright(name);
    }
  }

  #copyCopyright(name: string): void {
    const path = `usr/share/doc/${name}/copyright`;
    mkdirSync(dirname(this.at(path)), { recursive: true });
    copyFileSync(this.#system.at(path), this.at(path));
  }
}

function addIptables(root: RootFolder, system: DebianSystem): void {
  for (const family of ["iptables", "ip6tables"])
    for (const suffix of ["", "-save", "-restore"]) {
      root.link(`usr/sbin/${family}-legacy${suffix}`, "xtables-legacy-multi");
      for (const infix of ["-nft", ""]) root.link(`usr/sbin/${family}${infix}${suffix}`, "xtables-nft-multi");
    }
  // All of them: iptables-save ends with an error at a rule of another program whose extension is missing. Some have
  // several names, by links.
  for (const path of globSync("usr/lib/*/xtables/lib*.so", { cwd: system.folder }).toSorted()) root.copy(`/${path}`);
}

/** Node.js, without symbols and with the English data of ICU alone: see README.md. */
function addNode(root: RootFolder, folder: string): void {
  const node = trimNode(readFileSync(join(folder, "node")));
  writeFileSync(root.at("usr/bin/node"), node, { mode: 0o755 });
  root.copyLibraries(node);
  mkdirSync(root.at("usr/share/doc/nodejs"), { recursive: true });
  copyFileSync(join(folder, "LICENSE"), root.at("usr/share/doc/nodejs/copyright"));
}

function addBundle(root: RootFolder, folder: string, architecture: Architecture): void {
  cpSync(folder, root.at("opt/kube-ipvs"), { recursive: true });
  root.link("usr/bin/kube-ipvs", "../../opt/kube-ipvs/kube-ipvs.mjs");
  for (const binding of globSync(root.at("opt/kube-ipvs/netlink.*.node")))
    if (basename(binding) !== `netlink.linux-${ARCHITECTURES[architecture].node}.node`) rmSync(binding);
}

/** Sets the time of all files, and of links themselves. */
function setTimes(folder: string, seconds: number): void {
  for (const entry of globSync("**", { cwd: folder, withFileTypes: true }))
    lutimesSync(join(entry.parentPath, entry.name), seconds, seconds);
}

function assemble(architecture: Architecture, debian: string, node: string, dist: string, folder: string): void {
  const system = new DebianSystem(debian, architecture);
  const root = new RootFolder(system, folder);
  for (const name of PROGRAMS) root.copy(system.program(name));
  root.link("usr/bin/modprobe", "kmod");
  addIptables(root, system);
  addNode(root, node);
  addBundle(root, dist, architecture);
  copyFileSync(system.at("/etc/ssl/certs/ca-certificates.crt"), root.at("etc/ssl/certs/ca-certificates.crt"));
  copyFileSync(system.at("/etc/os-release"), root.at("etc/os-release"));
  for (const [path, text] of Object.entries(FILES)) writeFileSync(root.at(path), text);
  root.describePackages();
  const { SOURCE_DATE_EPOCH = "0" } = process.env;
  setTimes(folder, Number(SOURCE_DATE_EPOCH));
}

if (import.meta.main) {
  const [, , architecture = "", debian = "", node = "", dist = "", folder = ""] = process.argv;
  assemble(architectureOf(architecture), debian, node, dist, folder);
}
