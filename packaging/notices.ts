import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A package in the bundle. */
export interface LicensedPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX. */
  readonly license: string;
  /** The license files of the package, and its NOTICE file. */
  readonly texts: readonly string[];
}

/** Texts of packages that contain none: NAME.txt. */
const OWN_TEXTS = join(import.meta.dirname, "licenses");
const LINE = "=".repeat(100);

/** The notices of the bundle: for each package its name, version, license and the full text. Throws if a text is missing. */
export function notices(packages: readonly LicensedPackage[], legalComments: string): string {
  return [
    "kube-ipvs contains the following packages. Each is followed by the text of its license.\n",
    ...[...packages, bindingHeaders()].map(notice),
    `${LINE}\nLicense comments in the sources of these packages\n${LINE}\n\n${legalComments.trim()}\n`,
  ].join("\n");
}

function notice({ name, version, license, texts }: LicensedPackage): string {
  const all = texts.length > 0 ? texts : ownText(name);
  return `${LINE}\n${name} ${version} (${license})\n${LINE}\n\n${all.map((text) => text.trim()).join("\n\n")}\n`;
}

function ownText(name: string): readonly string[] {
  const file = join(OWN_TEXTS, `${name.replace("/", "-")}.txt`);
  if (!existsSync(file)) throw new Error(`Package "${name}" contains no text of its license: add it as "${file}"`);
  return [readFileSync(file, "utf8")];
}

/** The native binding of the package netlink is compiled with the headers of this one; its version is not recorded. */
function bindingHeaders(): LicensedPackage {
  const text = readFileSync("node_modules/node-addon-api/LICENSE.md", "utf8");
  return { name: "node-addon-api", version: "(headers)", license: "MIT", texts: [text] };
}
