import { rename, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect } from "node:tls";
import { Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import type { Logger } from "../../../src/model/logger.ts";
import { httpsServer } from "../../../src/serve/http-server.ts";
import { SliMetrics } from "../../../src/serve/metrics/sli-metrics.ts";
import { serveMetrics } from "../../../src/serve/metrics-server.ts";
import { ServingCertificate } from "../../../src/serve/serving-certificate.ts";
import { testTls } from "../../support/api/api-server.ts";
import { HandClock } from "../../support/api/worlds/hand-clock.ts";
import { folderOf } from "../../support/objects/kubeconfigs.ts";
import { eventually } from "../../support/time/eventually.ts";

/** A metrics server over TLS with files that a test replaces. */
async function served() {
  const folder = await folderOf({});
  const files = { cert: join(folder, "tls.crt"), key: join(folder, "tls.key") };
  const put = async (cert: string, key: string) => {
    for (const [file, text] of [
      [files.cert, cert],
      [files.key, key],
    ] as const) {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    }
  };
  const lines: string[] = [];
  const line = (fields: object, message?: string) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { error: line, warn: line, info: line, debug: line } as Logger;
  const clock = new HandClock();
  const { server, tls } = httpsServer();
  onTestFinished(() => server.close());
  const pages = { statusPage: () => "", flagsPage: () => "", configuration: () => ({}) };
  serveMetrics(server, { registry: new Registry(), slis: new SliMetrics(new Registry()), ...pages });
  const certificate = new ServingCertificate(files, tls, { clock, logger });
  const listen = async () => {
    await certificate.load();
    await server.listen({ host: "127.0.0.1", port: 0 });
    // A TCP server that listens has an address of this form.
    return (tls.address() as AddressInfo).port;
  };
  return { files, put, lines, clock, certificate, listen };
}

/** The response to GET /proxyMode, and whether the server has this certificate. */
function ask(port: number, ca: string): Promise<{ readonly text: string; readonly trusted: boolean }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca, servername: "localhost", rejectUnauthorized: false });
    let text = "";
    socket.once("secureConnect", () => {
      const trusted = socket.authorized;
      socket.on("data", (chunk) => (text += chunk));
      socket.once("close", () => resolve({ text, trusted }));
      socket.write("GET /proxyMode HTTP/1.1\r\nHost: a\r\n\r\n");
    });
    socket.once("error", reject);
  });
}

const A = testTls("a");
const B = testTls("b");

test("new connections get the certificate of the files, also after it is replaced", async () => {
  const { put, lines, clock, certificate, listen } = await served();
  await put(A.cert, A.key);
  const port = await listen();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  void certificate.follow(stop.signal);
  const first = await ask(port, A.cert);
  expect(first.trusted).toBe(true);
  expect(first.text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nipvs$/s);

  await put(B.cert, B.key);
  await clock.advance(10_000);
  await eventually(async () => expect((await ask(port, B.cert)).trusted).toBe(true));
  expect(lines).toEqual([expect.stringContaining("certificate of the metrics server replaced")]);
});

test("files that do not belong together leave the last certificate in use, and are logged once", async () => {
  const { put, lines, clock, certificate, listen } = await served();
  await put(A.cert, A.key);
  const port = await listen();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  void certificate.follow(stop.signal);
  await put(B.cert, A.key);
  for (const _ of [1, 2, 3]) {
    await clock.advance(10_000);
    await eventually(() => expect(lines).toHaveLength(1));
  }
  expect(lines[0]).toMatch(/still using the last valid one .*tls\.crt.*tls\.key/);
  expect((await ask(port, A.cert)).trusted).toBe(true);
});

test.each([
  ["an empty certificate", "", A.key, /^Cannot use certificate ".*tls\.crt" with key/],
  ["an empty key", A.cert, "", /^Cannot use certificate ".*tls\.crt" with key/],
  ["a key of another certificate", A.cert, B.key, /^Cannot use certificate ".*tls\.crt" with key/],
])("%s is rejected before the server listens", async (_, cert, key, message) => {
  const { put, listen } = await served();
  await put(cert, key);
  await expect(listen()).rejects.toThrow(message);
});

test("a missing file is rejected with its name", async () => {
  const { files, listen } = await served();
  await expect(listen()).rejects.toThrow(`Cannot read "${files.cert}"`);
});

test("a client that begins no handshake costs a connection of the limit, which others replace", async () => {
  const { put, listen } = await served();
  await put(A.cert, A.key);
  const port = await listen();
  const { connect: connectPlain } = await import("node:net");
  const idle = Array.from({ length: 80 }, () => connectPlain(port, "127.0.0.1").on("error", () => {}));
  onTestFinished(() => {
    for (const socket of idle) socket.destroy();
  });
  await eventually(() => expect(idle.filter(({ closed }) => closed).length).toBeGreaterThanOrEqual(16));
  expect((await ask(port, A.cert)).trusted).toBe(true);
});
