import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cyclonedxEsbuildPlugin } from "@cyclonedx/cyclonedx-esbuild";
import type { Plugin } from "esbuild";
import { type LicensedPackage, notices } from "./notices.ts";

/** The names of the two files beside the bundle. */
export const SBOM = "kube-ipvs.cdx.json";
export const NOTICES = "THIRD-PARTY-NOTICES.txt";
/** What the plugin writes beside a bundle: with the texts of the licenses, and with modules of the build that no package has. */
const RAW = "bom.raw.json";

/** A bill of materials in CycloneDX 1.6, as far as it is read here. */
interface Bom {
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

interface Component {
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly licenses?: readonly { readonly license?: { readonly id?: string }; readonly expression?: string }[];
  readonly evidence?: { readonly licenses?: readonly { readonly license: { readonly text: LicenseText } }[] };
  readonly properties?: readonly { readonly name: string }[];
}

/** In base64. */
interface LicenseText {
  readonly content: string;
}

/** Collects the packages of a bundle, for `writeBillOfMaterials`. */
export function materials(): Plugin {
  return cyclonedxEsbuildPlugin({
    outputFile: RAW,
    gatherLicenseTexts: true,
    outputReproducible: true,
    validate: true,
    logLevel: "silent",
  });
}

/**
 * Writes the SBOM and the notices of all packages in the bundle of the agent and in those of these folders, whose materials
 * were collected, beside the bundle of the agent. Both depend only on the packages: two builds write equal bytes. Fails if a
 * package has no text of a license.
 */
export async function writeBillOfMaterials(folder: string, others: readonly string[]): Promise<void> {
  const [own, ...more] = await Promise.all([folder, ...others].map(takeBom));
  if (own === undefined) return;
  const bom = more.reduce(joined, own);
  const packages = bom.components.filter((component) => !isVirtual(component));
  await writeFile(join(folder, NOTICES), notices(packages.map(licensed), await legalComments(folder)));
  const refs = new Set(bom.components.filter(isVirtual).map((component) => component["bom-ref"]));
  const sbom = {
    ...bom,
    components: packages.map(({ evidence: _, ...component }) => component),
    dependencies: bom.dependencies
      .filter(({ ref }) => !refs.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn?.filter((one) => !refs.has(one)) })),
  };
  await writeFile(join(folder, SBOM), `${JSON.stringify(sbom, null, 2)}\n`);
}

async function takeBom(folder: string): Promise<Bom> {
  const raw = join(folder, RAW);
  const bom: Bom = JSON.parse(await readFile(raw, "utf8"));
  await rm(raw);
  return bom;
}

/** The materials of both bundles, as those of one: both are of the same program. */
function joined(bom: Bom, other: Bom): Bom {
  const known = new Set(bom.components.map((component) => component["bom-ref"]));
  const edges = new Map(bom.dependencies.map(({ ref, dependsOn = [] }) => [ref, dependsOn]));
  for (const { ref, dependsOn = [] } of other.dependencies)
    edges.set(ref, [...new Set([...(edges.get(ref) ?? []), ...dependsOn])].toSorted());
  return {
    ...bom,
    components: [...bom.components, ...other.components.filter((component) => !known.has(component["bom-ref"]))],
    dependencies: [...edges].map(([ref, dependsOn]) => (dependsOn.length === 0 ? { ref } : { ref, dependsOn })),
  };
}

/** Whether the component is a module that a plugin of the build supplies. */
function isVirtual({ properties = [] }: Component): boolean {
  return properties.some(({ name }) => name === "cdx:esbuild:input:isVirtual");
}

function licensed({ group, name, version, licenses = [], evidence }: Component): LicensedPackage {
  return {
    name: group === undefined ? name : `${group}/${name}`,
    version,
    license: licenses.map(({ license, expression }) => expression ?? license?.id ?? "").join(", "),
    texts: (evidence?.licenses ?? []).map(({ license }) => Buffer.from(license.text.content, "base64").toString()),
  };
}

/** The license comments in the sources, which esbuild moves out of the bundle; the file becomes a part of the notices. */
async function legalComments(folder: string): Promise<string> {
  const file = join(folder, "kube-ipvs.mjs.LEGAL.txt");
  const text = await readFile(file, "utf8");
  await rm(file);
  return text.replace(/^Bundled license information:\s*/, "");
}
