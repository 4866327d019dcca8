import { writeFileSync } from "node:fs";
import { stringify } from "yaml";
import type { Configuration } from "../config/cli.ts";

/** Writes an effective configuration to a file, as YAML. Throws if the file cannot be written. */
export function writeConfiguration(path: string, effective: Configuration["effective"]): void {
  writeFileSync(path, stringify(effective));
}
