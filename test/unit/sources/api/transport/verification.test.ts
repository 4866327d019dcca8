import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { ApiTransport } from "../../../../../src/sources/api/transport/api-transport.ts";
import { ApiModel } from "../../../../support/api/api-model.ts";
import { ApiServer, type ApiServerOptions, testTls } from "../../../../support/api/api-server.ts";
import { HandClock } from "../../../../support/api/worlds/hand-clock.ts";
import { SILENT_LOGGER } from "../../../../support/api/worlds/silent-logger.ts";
import { loaded } from "../../../../support/objects/kubeconfigs.ts";

/** Only a verified server gets a token, unless the user disables verification. Over TLS, with h2 and without. */

const never = new AbortController().signal;
const base64 = (text: string) => Buffer.from(text).toString("base64");
const CA = { "certificate-authority-data": base64(testTls("a").cert) };
const INSECURE = { "insecure-skip-tls-verify": true };

/** A server, the requests that it got, and a request to it by a kubeconfig with a token. */
async function served(options: ApiServerOptions) {
  const model = new ApiModel(new HandClock());
  const tokens: string[] = [];
  const handler = {
    handle: (...args: Parameters<ApiModel["handle"]>) => {
      tokens.push(String(args[0].authorization));
      return model.handle(...args);
    },
  };
  const server = await ApiServer.start(handler, options);
  onTestFinished(() => server.close());

  async function attempt(cluster: object, servers: readonly string[]): Promise<string> {
    const { config, clock, stop } = await loaded(
      { cluster: { ...cluster }, user: { token: "SECRET" } },
      {},
      { servers },
    );
    const transport = new ApiTransport(config, { clock, logger: SILENT_LOGGER, signal: stop.signal });
    return await transport.get("/api/v1/services", never).then(
      ({ status }) => String(status),
      (error: Error) => error.message,
    );
  }
  return { server, tokens, attempt };
}

const URLS = { http: "http://127.0.0.1:1", https: "https://127.0.0.1:1" };
const SCHEMES = ["http", "https"] as const;
const MASTERS = ["https", "http"] as const;

describe.each(SCHEMES)("a kubeconfig of an %s server, without insecure-skip-tls-verify", (own) => {
  test.each(MASTERS)("and --master %s:// without a valid certificate: the server gets no token", async (scheme) => {
    const { server, tokens, attempt } = await served(scheme === "http" ? { protocol: "plain" } : { certificate: "b" });
    const answer = await attempt({ server: URLS[own], ...CA }, [server.url]);
    if (scheme === "https") expect(answer).toMatch(/^Cannot connect to ".*": self-signed certificate/);
    expect(tokens).toEqual(scheme === "http" ? [""] : []);
  });

  test("and --master https:// with a valid certificate: the server gets the token", async () => {
    const { server, tokens, attempt } = await served({ certificate: "a" });
    expect(await attempt({ server: URLS[own], ...CA }, [server.url])).toBe("200");
    expect(tokens).toEqual(["Bearer SECRET"]);
  });
});

describe.each(SCHEMES)("a kubeconfig of an %s server, with insecure-skip-tls-verify", (own) => {
  test.each(MASTERS)("and --master %s://: the server gets the token only over TLS", async (scheme) => {
    const { server, tokens, attempt } = await served(scheme === "http" ? { protocol: "plain" } : { certificate: "b" });
    expect(await attempt({ server: URLS[own], ...INSECURE }, [server.url])).toBe("200");
    expect(tokens).toEqual([scheme === "http" ? "" : "Bearer SECRET"]);
  });
});

describe.each(["h2", "http/1.1"] as const)("over %s, with tls-server-name", (protocol) => {
  test.each([
    ["172.30.0.1", "200"],
    ["::1", "200"],
    ["[::1]", "200"],
    ["localhost", "200"],
    ["10.9.9.9", "IP: 10.9.9.9 is not in the cert's list"],
    ["fd00::9", "IP: fd00::9 is not in the cert's list"],
    ["elsewhere", "Host: elsewhere. is not in the cert's altnames"],
  ])("%s the certificate is checked for that, be it a name or an address", async (name, answer) => {
    const { server, attempt } = await served({ certificate: "a", protocol });
    expect(await attempt({ server: server.url, ...CA, "tls-server-name": name }, [])).toContain(answer);
  });
});

describe.each(["h2", "http/1.1"] as const)("over %s", (protocol) => {
  test("every group and extra to impersonate is sent as its own header", async () => {
    const received: string[][] = [];
    const server = createSecureServer(
      { ...testTls("a"), allowHTTP1: true, ALPNProtocols: [protocol] },
      (request, response) => {
        const { rawHeaders } = request;
        for (let i = 0; i < rawHeaders.length; i += 2) received.push(rawHeaders.slice(i, i + 2));
        response.end("{}");
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo; // it listens on an address
    const user = { as: "x", "as-groups": ["a", "b, c"], "as-user-extra": { "acme.com/s": ["1", "2"] } };
    const { config, clock, stop } = await loaded({ cluster: { server: `https://127.0.0.1:${port}`, ...CA }, user });
    onTestFinished(async () => {
      stop.abort();
      await new Promise((resolve) => server.close(resolve));
    });
    const transport = new ApiTransport(config, { clock, logger: SILENT_LOGGER, signal: stop.signal });
    await (await transport.get("/api/v1/services", never)).body.read(() => {});
    expect(received.filter(([name]) => name?.startsWith("impersonate-"))).toEqual([
      ["impersonate-user", "x"],
      ["impersonate-group", "a"],
      ["impersonate-group", "b, c"],
      ["impersonate-extra-acme.com%2fs", "1"],
      ["impersonate-extra-acme.com%2fs", "2"],
    ]);
  });
});

test("without a certificate authority the roots of the system are used, which do not include the test authority", async () => {
  const { server, tokens, attempt } = await served({ certificate: "a" });
  expect(await attempt({ server: server.url }, [])).toMatch(/: self-signed certificate$/);
  expect(tokens).toEqual([]);
});
