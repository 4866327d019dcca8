import { get, type RequestOptions } from "node:http";

/** How long an answer may take. */
const ANSWER_MS = 10_000;

/** The answer to a GET request. */
export interface HttpText {
  readonly status: number;
  readonly body: string;
}

/** Sends a GET request on a connection of its own. Rejects with an error that has a code if no answer comes within 10 s. */
export function httpGet(target: RequestOptions): Promise<HttpText> {
  return new Promise((resolve, reject) => {
    const options = { ...target, timeout: ANSWER_MS, headers: { connection: "close" } };
    const asked = get(options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body })).on("error", reject);
    });
    asked.on("timeout", () => asked.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })));
    asked.on("error", reject);
  });
}
