import { rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testTls } from "../../../../support/api/api-server.ts";
import { CA_FILE, FILES, PAIR, PAIR_FILES } from "../../../../support/objects/kubeconfig-parts.ts";
import { type GivenKubeconfig, kubeconfigText, loaded, put } from "../../../../support/objects/kubeconfigs.ts";

const A = testTls("a");
const B = testTls("b");
const never = new AbortController().signal;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("files that a kubeconfig names", () => {
  const user = { user: { tokenFile: "token" } };
  const failure = (config: { credentials(signal: AbortSignal): Promise<unknown> }) =>
    config.credentials(never).then(String, (error: Error) => error.message);

  test.each<readonly [string, GivenKubeconfig, Readonly<Record<string, string>>, string]>([
    [
      "no authority",
      { cluster: CA_FILE },
      {},
      'Cannot read certificate-authority "DIR/pki/ca" of cluster "c" of kubeconfig "DIR/config": ENOENT: no such file or directory, open \'DIR/pki/ca\'',
    ],
    [
      "an authority that is no PEM",
      { cluster: CA_FILE },
      { "pki/ca": "x" },
      'Cannot use certificate-authority "DIR/pki/ca" of cluster "c" of kubeconfig "DIR/config": it contains no certificate in PEM format',
    ],
    [
      "a certificate and a key that do not match",
      { user: PAIR_FILES },
      { "pki/cert": A.cert, "pki/key": B.key },
      'Cannot use client-certificate "DIR/pki/cert" of user "u" of kubeconfig "DIR/config": it does not belong to the key of client-key "DIR/pki/key" of user "u" of kubeconfig "DIR/config"',
    ],
    [
      "a key that is no PEM",
      { user: PAIR_FILES },
      { "pki/cert": A.cert, "pki/key": "" },
      'Cannot use client-key "DIR/pki/key" of user "u" of kubeconfig "DIR/config": it contains no unencrypted private key in PEM format',
    ],
    [
      "an empty token",
      user,
      { token: "\n" },
      'Cannot use tokenFile "DIR/token" of user "u" of kubeconfig "DIR/config": it is empty',
    ],
    ["no token", user, {}, 'Cannot read tokenFile "DIR/token" of user "u" of kubeconfig "DIR/config": ENOENT'],
    [
      "two lines as a token",
      user,
      { token: "a\nb" },
      'Cannot use tokenFile "DIR/token" of user "u" of kubeconfig "DIR/config": it contains a line break',
    ],
  ])(
    "and that cannot be used are an error with file and field until they can be used: %s",
    async (_, given, files, message) => {
      const { config, folder } = await loaded(given, files);
      expect((await failure(config)).replaceAll(folder, "DIR")).toContain(message);
      for (const [name, text] of Object.entries(FILES)) await put(join(folder, name), text);
      await config.credentials(never);
    },
  );

  test("a token file that becomes empty or is deleted leaves the last token in use, and is logged once", async () => {
    const { config, folder, clock, warnings } = await loaded(user, FILES);
    await config.credentials(never);
    for (const change of [() => put(join(folder, "token"), ""), () => rm(join(folder, "token"))]) {
      await change();
      for (let round = 0; round < 3; round++) {
        await clock.advance(61_000);
        expect((await config.credentials(never)).headers).toEqual(bearer("from file"));
      }
    }
    expect(warnings.map((text) => text.replaceAll(folder, "DIR"))).toEqual([
      expect.stringMatching(/^cannot renew credentials.*tokenFile .*it is empty/),
      expect.stringMatching(/^cannot renew credentials.*tokenFile .*ENOENT/),
    ]);
    await put(join(folder, "token"), "new");
    await clock.advance(61_000);
    expect((await config.credentials(never)).headers).toEqual(bearer("new"));
  });

  test("a certificate without its key leaves the last pair in use", async () => {
    const { config, folder, warnings } = await loaded({ user: PAIR_FILES }, FILES);
    await config.credentials(never);
    await put(join(folder, "pki/cert"), B.cert);
    expect((await config.credentials(never)).tls).toMatchObject(PAIR);
    await put(join(folder, "pki/key"), B.key.slice(0, 40));
    expect((await config.credentials(never)).tls).toMatchObject(PAIR);
    await put(join(folder, "pki/key"), B.key);
    expect((await config.credentials(never)).tls).toMatchObject(B);
    expect(warnings).toHaveLength(2);
  });

  test("an authority that is only partly written leaves the last one in use", async () => {
    const { config, folder } = await loaded({ cluster: CA_FILE }, FILES);
    await config.credentials(never);
    await put(join(folder, "pki/ca"), B.cert.slice(0, 100));
    expect((await config.credentials(never)).tls.ca).toBe(A.cert);
    await put(join(folder, "pki/ca"), B.cert);
    expect((await config.credentials(never)).tls.ca).toBe(B.cert);
  });
});

describe("a kubeconfig that changes", () => {
  const token = async (config: { credentials(signal: AbortSignal): Promise<{ headers: object }> }) =>
    (await config.credentials(never)).headers;

  test("is read again", async () => {
    const { config, path } = await loaded({ user: { token: "one" } });
    await writeFile(path, kubeconfigText({ user: { token: "two" } }));
    await utimes(path, new Date(), new Date(Date.now() + 5000));
    expect(await token(config)).toEqual(bearer("two"));
  });

  test("is read again when another file of the same age and length replaces it", async () => {
    const { config, path } = await loaded({ user: { token: "one" } });
    const old = new Date(1_000_000_000_000);
    await utimes(path, old, old);
    await config.credentials(never);
    await writeFile(`${path}.new`, kubeconfigText({ user: { token: "two" } }));
    await utimes(`${path}.new`, old, old);
    await rename(`${path}.new`, path);
    expect(await token(config)).toEqual(bearer("two"));
  });

  test("and is then invalid or deleted leaves its former content in use until it is valid again", async () => {
    const { config, path, warnings } = await loaded({ user: { token: "one" } });
    await writeFile(path, "current-context: [");
    expect(await token(config)).toEqual(bearer("one"));
    await rm(path);
    expect(await token(config)).toEqual(bearer("one"));
    await writeFile(path, kubeconfigText({ user: { token: "three" } }));
    expect(await token(config)).toEqual(bearer("three"));
    expect(warnings).toEqual([
      expect.stringContaining("it is not valid YAML: bad indent at line 1"),
      expect.stringContaining("ENOENT"),
    ]);
  });
});
