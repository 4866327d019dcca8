import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { loaded } from "./kubeconfigs.ts";

const never = new AbortController().signal;
const V1 = "client.authentication.k8s.io/v1";

/** A plugin that records each run, then executes the script. */
export const script = (body: string) => `#!/bin/sh\ncd "$(dirname "$0")" && echo $$ >> runs\n${body}`;

/** The output of a plugin. */
export const credential = (status: unknown, rest: object = {}) =>
  JSON.stringify({ apiVersion: V1, kind: "ExecCredential", ...rest, status });

/** A plugin that prints the text. */
export const prints = (text: string) => script(`cat <<'END'\n${text}\nEND`);

/** Prints the file "answer" beside it. */
export const PRINTS_FILE = script("cat answer");

/** The kubeconfig of a plugin beside it. */
export async function plugin(
  text: string,
  exec: object = {},
  files: Readonly<Record<string, string>> = {},
  cluster: object = {},
) {
  const user = { exec: { apiVersion: V1, command: "./plugin", interactiveMode: "Never", ...exec } };
  const one = await loaded({ user, cluster: { ...cluster } }, { plugin: text, ...files });
  const read = async (file: string) => await readFile(join(one.folder, file), "utf8").catch(() => "");
  const runs = async () => (await read("runs")).split("\n").filter((line) => line !== "");
  const token = async () => (await one.config.credentials(never)).headers;
  const failure = () =>
    one.config.credentials(never).then(
      () => "none",
      (error: Error) => error.message.replaceAll(one.folder, "DIR"),
    );
  return { ...one, read, runs, token, failure };
}

/** How errors name it. */
export const PLUGIN = 'exec plugin "./plugin" of user "u" of kubeconfig "DIR/config"';
