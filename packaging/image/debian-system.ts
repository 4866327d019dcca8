/** A folder in which debian.sh has laid out the packages of one architecture: the files of a system of which nothing runs. */
import { existsSync, globSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { linkedLibraries, optionalLibraries, readElf } from "./elf.ts";

/** Names of architectures: that of Debian and of container images, of the folders of libraries, of Node.js, and `e_machine` of ELF. */
export const ARCHITECTURES = {
  amd64: { libraries: "x86_64-linux-gnu", node: "x64", machine: 62 },
  arm64: { libraries: "aarch64-linux-gnu", node: "arm64", machine: 183 },
} as const;

export type Architecture = keyof typeof ARCHITECTURES;

/** Throws for an architecture of which there is no image. */
export function architectureOf(name: string): Architecture {
  if (name === "amd64" || name === "arm64") return name;
  throw new Error(`There is no image for the architecture "${name}": amd64 and arm64 are known`);
}

export class DebianSystem {
  readonly folder: string;
  readonly #libraries: readonly string[];
  /** The package of each file. */
  readonly #owners = new Map<string, string>();

  constructor(folder: string, architecture: Architecture) {
    this.folder = realpathSync(folder);
    this.#libraries = [`/usr/lib/${ARCHITECTURES[architecture].libraries}`, "/usr/lib"];
    const lists = join(this.folder, "var/lib/dpkg/info");
    for (const list of globSync("*.list", { cwd: lists }))
      for (const path of readFileSync(join(lists, list), "utf8").split("\n"))
        this.#owners.set(path, list.slice(0, -".list".length));
  }

  /** The place in the folder, of a path in the system. */
  at(path: string): string {
    return join(this.folder, path);
  }

  /** The path of the file to which a path leads by links. Throws if it leads out of the system. */
  follow(path: string): string {
    const real = realpathSync(this.at(path));
    if (!real.startsWith(`${this.folder}/`)) throw new Error(`${path} leads out of ${this.folder}, to ${real}`);
    return real.slice(this.folder.length);
  }

  /** The path of a program by its name. */
  program(name: string): string {
    return this.#find(name, ["/usr/bin", "/usr/sbin"]);
  }

  /** The paths by which the loader finds the libraries of a file, also those that it loads when it needs them, and theirs in turn. */
  libraries(file: Buffer): readonly string[] {
    const found = new Set<string>();
    const add = (bytes: Buffer): void => {
      const elf = readElf(bytes);
      for (const name of [...linkedLibraries(elf), ...optionalLibraries(elf)]) {
        const path = name.startsWith("/") ? this.#linked(name) : this.#find(name, this.#libraries);
        if (found.has(path)) continue;
        found.add(path);
        add(readFileSync(this.at(path)));
      }
    };
    add(file);
    return [...found].toSorted();
  }

  /** The package of a file. Throws if none has it. */
  owner(path: string): string {
    const owner = this.#owners.get(path);
    if (owner === undefined) throw new Error(`No package has ${path}`);
    return owner;
  }

  /** What dpkg would know of an installed package, by which scanners find it. */
  status(name: string): string {
    const control = readFileSync(this.at(`/var/lib/dpkg/info/${name}.control`), "utf8");
    return control.replace("\n", "\nStatus: install ok installed\n");
  }

  /** The path with the links of its folder followed, but not its own. */
  #linked(path: string): string {
    return join(this.follow(dirname(path)), basename(path));
  }

  #find(name: string, folders: readonly string[]): string {
    const folder = folders.find((one) => existsSync(join(this.folder, one, name)));
    if (folder === undefined) throw new Error(`${name} is not in ${folders.join(" or ")} of ${this.folder}`);
    return `${folder}/${name}`;
  }
}
