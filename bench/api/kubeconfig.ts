const AUTHORITY = new URL("../../test/fixtures/apiserver/tls/a.crt", import.meta.url).pathname;

/** Returns the text of a kubeconfig for a test API server at this URL. */
export function testKubeconfig(url: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "bench",
    contexts: [{ name: "bench", context: { cluster: "bench", user: "bench" } }],
    clusters: [{ name: "bench", cluster: { server: url, "certificate-authority": AUTHORITY } }],
    users: [{ name: "bench", user: { token: "bench" } }],
  });
}
