import { request } from "node:http";

/** How long the agent may take for an answer. */
const ANSWER_MS = 10_000;

/** The answer of the running agent, or why there is none. */
export type AgentAnswer =
  | { readonly kind: "answer"; readonly json: unknown }
  | { readonly kind: "no agent"; readonly reason: string };

/** Asks the agent that listens at the unix socket for a JSON document. Throws if it answers with a failure. */
export async function askAgent(socketPath: string, path: string): Promise<AgentAnswer> {
  if (socketPath === "") return { kind: "no agent", reason: 'no agent is asked: --state-socket is ""' };
  try {
    const { status, body } = await get(socketPath, path);
    if (status !== 200) throw new Error(`The agent at "${socketPath}" refuses ${path}: ${body.trim()}`);
    return { kind: "answer", json: JSON.parse(body) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    return { kind: "no agent", reason: `no agent answers at "${socketPath}": ${code}` };
  }
}

function get(socketPath: string, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: ANSWER_MS, headers: { connection: "close" } }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    });
    asked.on("timeout", () => asked.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })));
    asked.on("error", reject);
    asked.end();
  });
}
