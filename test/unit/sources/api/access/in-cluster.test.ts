import { rm } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { testTls } from "../../../../support/api/api-server.ts";
import { NOTHING } from "../../../../support/objects/kubeconfig-parts.ts";
import { configWorld, folderOf, put } from "../../../../support/objects/kubeconfigs.ts";

const A = testTls("a");
const B = testTls("b");
const never = new AbortController().signal;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("in the cluster", () => {
  const ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount";

  async function pod(env: Readonly<Record<string, string>> = {}) {
    const root = await folderOf({ [`${ACCOUNT}/token`]: "projected\n", [`${ACCOUNT}/ca.crt`]: A.cert });
    const variables = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443", ...env };
    return { ...configWorld(), root, access: { root: `${root}/`, env: variables } };
  }

  test.each([
    ["10.96.0.1", "443", "https://10.96.0.1/"],
    ["fd00::1", "443", "https://[fd00::1]/"],
    ["10.96.0.1", "80", "https://10.96.0.1:80/"],
    ["10.96.0.1", "8080", "https://10.96.0.1:8080/"],
    ["10.96.0.1", "8001", "https://10.96.0.1:8001/"],
  ])("the API server at %s, port %s, is reached by TLS with the service account", async (host, port, url) => {
    const { access, load } = await pod({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port });
    const config = await load(access);
    expect(config.servers.map(String)).toEqual([url]);
    expect(await config.credentials(never)).toEqual({ headers: bearer("projected"), tls: { ...NOTHING, ca: A.cert } });
  });

  test("given servers are used instead, with the service account", async () => {
    const { access, load } = await pod();
    const config = await load({ ...access, env: {}, servers: ["https://one:1", "https://two:2"] });
    expect(config.servers.map(String)).toEqual(["https://one:1/", "https://two:2/"]);
    expect(await config.credentials(never)).toEqual({ headers: bearer("projected"), tls: { ...NOTHING, ca: A.cert } });
  });

  test("a rotated token is used after a minute, or at once when the old one was rejected; a new authority at once", async () => {
    const { access, root, load, clock } = await pod();
    const config = await load(access);
    const first = await config.credentials(never);
    await put(`${root}/${ACCOUNT}/token`, "rotated");
    await put(`${root}/${ACCOUNT}/ca.crt`, B.cert);
    expect(await config.credentials(never)).toMatchObject({ headers: bearer("projected"), tls: { ca: B.cert } });
    await clock.advance(61_000);
    expect((await config.credentials(never)).headers).toEqual(bearer("rotated"));
    await put(`${root}/${ACCOUNT}/token`, "again");
    await config.renew(first);
    // A request was rejected with a token that is no longer in use.
    expect((await config.credentials(never)).headers).toEqual(bearer("rotated"));
    await config.renew(await config.credentials(never));
    expect((await config.credentials(never)).headers).toEqual(bearer("again"));
  });

  test("a missing token is a temporary error", async () => {
    const { access, root, load } = await pod();
    const config = await load(access);
    await rm(`${root}/${ACCOUNT}/token`);
    await expect(config.credentials(never)).rejects.toThrow(
      /^Cannot read token of the service account ".*\/token": ENOENT/,
    );
    await put(`${root}/${ACCOUNT}/token`, "back");
    expect((await config.credentials(never)).headers).toEqual(bearer("back"));
  });

  test.each([{}, { KUBERNETES_SERVICE_HOST: "10.96.0.1" }, { KUBERNETES_SERVICE_PORT: "443" }])(
    "outside of a cluster no server is found: %j",
    async (env) => {
      await expect(configWorld().load({ root: await folderOf(), env })).rejects.toThrow(
        "KUBERNETES_SERVICE_PORT is not set",
      );
    },
  );
});

test("a given server needs nothing else", async () => {
  const config = await configWorld().load({ servers: ["https://api.test"] });
  expect(await config.credentials(never)).toEqual({ headers: {}, tls: NOTHING });
});
