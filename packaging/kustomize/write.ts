/** Writes the dashboard and the single files of manifests/rendered: `npm run manifests`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { dashboard } from "../dashboard/dashboard.ts";
import { render } from "./render.ts";

const FOLDER = join(import.meta.dirname, "../../manifests");

/** The single files and the kustomizations from which they are rendered. */
export const RENDERED: Readonly<Record<string, string>> = {
  "kube-ipvs.yaml": "base",
  "side-by-side.yaml": "overlays/side-by-side",
  "replace-kubeadm.yaml": "overlays/replace-kubeadm",
  "monitoring.yaml": "components/monitoring/objects",
};

/** The dashboard, from which a kustomization makes a ConfigMap. */
export const DASHBOARD_FILE = join(FOLDER, "components/monitoring/objects/kube-ipvs-dashboard.json");

/** The text of the dashboard. */
export function dashboardText(): string {
  return `${JSON.stringify(dashboard(), null, 2)}\n`;
}

/** The text of a single file. */
export function renderedText(kustomization: string): string {
  const documents = render(join(FOLDER, kustomization)).map((object) => stringify(object, { lineWidth: 0 }));
  return `# Rendered from manifests/${kustomization} by npm run manifests.\n${documents.join("---\n")}`;
}

if (import.meta.main) {
  writeFileSync(DASHBOARD_FILE, dashboardText());
  for (const [file, kustomization] of Object.entries(RENDERED))
    writeFileSync(join(FOLDER, "rendered", file), renderedText(kustomization));
}
