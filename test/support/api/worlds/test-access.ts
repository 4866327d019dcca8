import { setTimeout } from "node:timers/promises";
import type { TlsMaterial } from "../../../../src/sources/api/access/kubeconfig.ts";
import type { ServerAccess } from "../../../../src/sources/api/transport/api-transport.ts";
import { patient } from "../../time/patience.ts";
import { testTls } from "../api-server.ts";

const NO_TLS: TlsMaterial = { ca: "", cert: "", key: "", serverName: "", verify: true };

/** Ways in that a test can change: the certificate to trust, the own certificate, the token. */
export class TestAccess implements ServerAccess {
  readonly servers: readonly URL[];
  tls: TlsMaterial = { ...NO_TLS, ca: testTls("a").cert };
  token = "";
  /** What the token is after the server has refused the one before. */
  nextToken = "";
  renewals = 0;

  constructor(...urls: readonly string[]) {
    this.servers = urls.map((url) => new URL(url));
  }

  async credentials() {
    return { headers: this.token === "" ? {} : { authorization: `Bearer ${this.token}` }, tls: this.tls };
  }

  async renew(): Promise<void> {
    this.renewals++;
    this.token = this.nextToken;
  }
}

/** Waits until real sockets have done their part; a test that waits for ten seconds, on a quiet machine, has failed. */
export async function until(what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + patient(10_000);
  while (!(await isDone())) {
    if (performance.now() > giveUpAt) throw new Error(`never came: ${what}`);
    await setTimeout(1);
  }
}
