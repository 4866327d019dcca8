import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testTls } from "../../../../support/api/api-server.ts";
import { CA_DATA, PAIR_DATA } from "../../../../support/objects/kubeconfig-parts.ts";
import { configWorld, folderOf, kubeconfigText, loaded } from "../../../../support/objects/kubeconfigs.ts";

const A = testTls("a");
const B = testTls("b");
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("the error about an invalid kubeconfig has file, object, field and value, and no secret:", () => {
  const CLUSTER = 'cluster "c" of kubeconfig "FILE"';
  const USER = 'user "u" of kubeconfig "FILE"';
  const named = (rest: Readonly<Record<string, unknown>>) => kubeconfigText({ rest });
  const cluster = (fields: object) => kubeconfigText({ cluster: { ...fields } });
  const user = (fields: object) => kubeconfigText({ user: { ...fields } });
  const exec = (fields: object) =>
    user({ exec: { apiVersion: "client.authentication.k8s.io/v1", command: "x", ...fields } });

  const ROWS: readonly (readonly [string, string])[] = [
    ["a: [", 'Cannot use kubeconfig "FILE": it is not valid YAML: bad indent at line 1, column 5'],
    ["a: SECRET: b", 'Cannot use kubeconfig "FILE": it is not valid YAML: block as implicit key at line 1, column 4'],
    [
      "a: *SECRET",
      'Cannot use kubeconfig "FILE": it is not valid YAML: Unresolved alias (the anchor must be set before the alias)',
    ],
    [
      "a: &a [*a]\ncurrent-context: *a",
      'Cannot use current-context of kubeconfig "FILE": must be a text; write numbers in quotes, is [[[[[[…]]]]]]',
    ],
    ["", 'Cannot use kubeconfig "FILE": it is not a kubeconfig: must be a map'],
    ["- 1\n", 'Cannot use kubeconfig "FILE": it is not a kubeconfig: must be a map'],
    ["apiVersion: v1\n", 'Cannot use kubeconfig "FILE": it has no current-context'],
    [named({ "current-context": "" }), 'Cannot use kubeconfig "FILE": it has no current-context'],
    [
      named({ "current-context": 7 }),
      'Cannot use current-context of kubeconfig "FILE": must be a text; write numbers in quotes, is 7',
    ],
    [
      named({ "current-context": "x" }),
      'Cannot find context "x" of kubeconfig "FILE": contexts has no entry with that name',
    ],
    [named({ contexts: "x" }), 'Cannot find context "here" of kubeconfig "FILE": contexts has no entry with that name'],
    [
      named({ contexts: [{ name: "here", context: { user: "u" } }] }),
      'Cannot use context "here" of kubeconfig "FILE": it has no cluster',
    ],
    [named({ clusters: [] }), `Cannot find ${CLUSTER}: clusters has no entry with that name`],
    [named({ users: null }), `Cannot find ${USER}: users has no entry with that name`],
    [named({ users: [{ name: "u" }, { name: "u" }] }), `Cannot use ${USER}: users has 2 entries with that name`],
    [named({ users: [{ name: "u", user: "SECRET" }] }), `Cannot use ${USER}: must be a map`],
    [cluster({ server: "" }), `Cannot use ${CLUSTER}: it has no server`],
    [cluster({ server: 7 }), `Cannot use server of ${CLUSTER}: must be a text; write numbers in quotes, is 7`],
    [
      cluster({ server: "api.test:port" }),
      `Cannot use server of ${CLUSTER}: "api.test:port" is not an https or http URL`,
    ],
    [
      cluster({ server: "ftp://x:SECRET@y" }),
      `Cannot use server of ${CLUSTER}: "ftp://…@y" is not an https or http URL`,
    ],
    [
      cluster({ server: "https://x:SECRET@y" }),
      `Cannot use server of ${CLUSTER}: it must not contain credentials: put them into the user`,
    ],
    [
      cluster({ "proxy-url": "http://u:SECRET@proxy:3128" }),
      `Cannot use proxy-url of ${CLUSTER}: proxies are not supported`,
    ],
    [
      cluster({ "insecure-skip-tls-verify": "yes" }),
      `Cannot use insecure-skip-tls-verify of ${CLUSTER}: must be true or false, is "yes"`,
    ],
    [
      cluster({ ...CA_DATA, "insecure-skip-tls-verify": true }),
      `Cannot use ${CLUSTER}: insecure-skip-tls-verify and certificate-authority cannot be used together`,
    ],
    [
      cluster({ "certificate-authority-data": "%%" }),
      `Cannot use certificate-authority-data of ${CLUSTER}: must be base64, is a string`,
    ],
    [
      cluster({ "certificate-authority-data": base64("no PEM") }),
      `Cannot use certificate-authority-data of ${CLUSTER}: it contains no certificate in PEM format`,
    ],
    [
      cluster({ "certificate-authority-data": base64(A.key) }),
      `Cannot use certificate-authority-data of ${CLUSTER}: it contains no certificate in PEM format`,
    ],
    [user({ token: 12345 }), `Cannot use token of ${USER}: must be a text; write numbers in quotes, is a number`],
    [
      user({ token: "a\nSECRET: b" }),
      `Cannot use token of ${USER}: it contains a line break or another character that a header cannot have`,
    ],
    [user({ token: "SECRET", username: "u" }), `Cannot use ${USER}: username and token cannot be used together`],
    [user({ "as-groups": ["a"] }), `Cannot use ${USER}: as-uid, as-groups and as-user-extra require the field as`],
    [
      user({ as: "x\r\ny: z" }),
      `Cannot use as of ${USER}: it contains a line break or another character that a header cannot have`,
    ],
    [user({ as: "x", "as-groups": "a" }), `Cannot use as-groups of ${USER}: must be a list of texts, is "a"`],
    [
      user({ ...PAIR_DATA, "client-key-data": undefined }),
      `Cannot use client-certificate of ${USER}: there is neither client-key nor client-key-data`,
    ],
    [
      user({ ...PAIR_DATA, "client-key-data": base64(B.key) }),
      `Cannot use client-certificate-data of ${USER}: it does not belong to the key of client-key-data of ${USER}`,
    ],
    [
      user({ ...PAIR_DATA, "client-key-data": base64("SECRET") }),
      `Cannot use client-key-data of ${USER}: it contains no unencrypted private key in PEM format (error:1E08010C:DECODER routines::unsupported)`,
    ],
    [
      user({ ...PAIR_DATA, "client-certificate-data": base64("x") }),
      `Cannot use client-certificate-data of ${USER}: it contains no certificate in PEM format (error:0480006C:PEM routines::no start line)`,
    ],
    ...["oidc", "gcp", "azure", "exec"].map((name): readonly [string, string] => [
      user({ "auth-provider": { name, config: { "id-token": "SECRET" } } }),
      `Cannot use auth-provider of ${USER}: "${name}" is not supported; use an exec plugin, a token file or client certificates`,
    ]),
    [exec({ command: "" }), `Cannot use exec of ${USER}: it has no command`],
    [
      exec({ apiVersion: "v1" }),
      `Cannot use apiVersion of exec of ${USER}: must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1, is "v1"`,
    ],
    [
      exec({ interactiveMode: "Always" }),
      `Cannot use interactiveMode of exec of ${USER}: must be Never or IfAvailable, is "Always"; a plugin cannot be interactive here`,
    ],
    [
      exec({ env: [{ name: "A", value: 7 }] }),
      `Cannot use value of env of exec of ${USER}: must be a text; write numbers in quotes, is a number`,
    ],
    [exec({ env: ["A=SECRET"] }), `Cannot use env of exec of ${USER}: an entry has no name`],
  ];

  test.each(ROWS.map(([text, message]) => [message, text] as const))("%s", async (message, text) => {
    const folder = await folderOf({ config: text });
    const path = join(folder, "config");
    const error = await configWorld()
      .load({ kubeconfig: path })
      .then(String, (cause: Error) => cause.message);
    expect(error.replaceAll(path, "FILE")).toBe(message);
    expect(error).not.toContain("SECRET");
  });

  test("a file that is nested too deeply", async () => {
    await expect(loaded("[".repeat(2000))).rejects.toThrow(
      /^Cannot use kubeconfig ".*": it is not valid YAML: resource exhaustion/,
    );
  });

  test.each([
    ["that does not exist", async () => {}, "ENOENT: no such file or directory"],
    ["that is a folder", (path: string) => mkdir(path), "it is not a regular file"],
    ["that is a FIFO", async (path: string) => void execFileSync("mkfifo", [path]), "it is not a regular file"],
    ["that is huge", (path: string) => writeFile(path, " ".repeat(5_000_000)), "it has 5000000 bytes"],
  ])("a file %s", async (_, make, reason) => {
    const path = join(await folderOf(), "config");
    await make(path);
    await expect(configWorld().load({ kubeconfig: path })).rejects.toThrow(
      `Cannot read kubeconfig "${path}": ${reason}`,
    );
  });
});
