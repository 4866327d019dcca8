import { describe, expect, test } from "vitest";
import type { Logger } from "../../../../src/model/logger.ts";
import { AccessControl } from "../../../../src/serve/access/access-control.ts";

const TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews";
const SUBJECTS = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const PROMETHEUS = {
  username: "system:serviceaccount:monitoring:prometheus",
  uid: "u-1",
  groups: ["system:serviceaccounts", "system:authenticated"],
  extra: { "authentication.kubernetes.io/pod-name": ["prometheus-0"] },
};

interface Created {
  readonly path: string;
  readonly object: {
    readonly kind: string;
    readonly spec: {
      readonly token?: string;
      readonly nonResourceAttributes?: { readonly path: string; readonly verb: string };
    };
  };
}

/** An access control before an API server with one good token, whose user may GET /metrics. */
function world() {
  const created: Created[] = [];
  const warnings: string[] = [];
  const state = { nowMs: 1_000_000, fault: "" };
  const warn = (fields: object, message?: string) => void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { error: warn, warn, info: () => {}, debug: () => {} } as Logger;
  const answer = ({ path, object: { kind, spec } }: Created) => {
    if (path === TOKENS) {
      const good = spec.token === "good";
      return { kind, status: good ? { authenticated: true, user: PROMETHEUS } : { error: "[invalid bearer token]" } };
    }
    const { path: wanted, verb } = spec.nonResourceAttributes ?? {};
    return { kind, status: { allowed: wanted === "/metrics" && verb === "get" } };
  };
  const create = async (path: string, object: object) => {
    const one = { path, object } as Created;
    created.push(one);
    await Promise.resolve();
    if (state.fault !== "") throw new Error(state.fault);
    return answer(one);
  };
  const control = new AccessControl({ clock: { now: () => state.nowMs }, logger, create });
  const status = async (authorization: string, path = "/metrics", method = "GET") =>
    (await control.refusal({ authorization, method, path }))?.status ?? 200;
  const paths = () => created.map((one) => one.path);
  return { created, warnings, state, control, status, paths };
}

test.each([
  ["", 401, "Unauthorized\n"],
  ["Bearer", 401, "Unauthorized\n"],
  ["Bearer  ", 401, "Unauthorized\n"],
  ["Basic Z29vZDo=", 401, "Unauthorized\n"],
  ["Bearer good bad", 401, "Unauthorized\n"],
])("a request with the header %j is refused without a review", async (authorization, status, body) => {
  const { control, paths } = world();
  const refusal = await control.refusal({ authorization, method: "GET", path: "/metrics" });
  expect(refusal).toMatchObject({ status, body, headers: { "www-authenticate": "Bearer" } });
  expect(paths()).toEqual([]);
});

test.each([
  ["Bearer good", "GET", "/metrics", 200],
  ["bearer good", "GET", "/metrics", 200],
  ["Bearer bad", "GET", "/metrics", 401],
  ["Bearer good", "DELETE", "/metrics", 403],
  ["Bearer good", "GET", "/configz", 403],
])("%s: %s %s is %d", async (authorization, method, path, expected) => {
  expect(await world().status(authorization, path, method)).toBe(expected);
});

test("the reviews have the form of their APIs, with all that the server said about the user", async () => {
  const { created, status } = world();
  await status("Bearer good", "/metrics", "GET");
  const { username: user, uid, groups, extra } = PROMETHEUS;
  expect(created).toEqual([
    {
      path: TOKENS,
      object: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: "good" } },
    },
    {
      path: SUBJECTS,
      object: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec: { user, uid, groups, extra, nonResourceAttributes: { path: "/metrics", verb: "get" } },
      },
    },
  ]);
});

describe("results are kept", () => {
  test("a token for a minute, a permission for five, also for many requests at one time", async () => {
    const { state, status, paths } = world();
    const scrapes = await Promise.all(Array.from({ length: 50 }, () => status("Bearer good")));
    expect(new Set(scrapes)).toEqual(new Set([200]));
    expect(paths()).toEqual([TOKENS, SUBJECTS]);
    state.nowMs += 59_999;
    await status("Bearer good");
    expect(paths()).toHaveLength(2);
    state.nowMs += 1;
    await status("Bearer good");
    expect(paths()).toEqual([TOKENS, SUBJECTS, TOKENS]);
    state.nowMs += 240_000;
    await status("Bearer good");
    expect(paths()).toEqual([TOKENS, SUBJECTS, TOKENS, TOKENS, SUBJECTS]);
  });

  test("an invalid token for a minute, a refused path for 30 s", async () => {
    const { state, status, paths } = world();
    await status("Bearer bad");
    await status("Bearer good", "/configz");
    expect(paths()).toEqual([TOKENS, TOKENS, SUBJECTS]);
    state.nowMs += 29_999;
    await status("Bearer bad");
    await status("Bearer good", "/configz");
    expect(paths()).toHaveLength(3);
    state.nowMs += 1;
    await status("Bearer good", "/configz");
    expect(paths().slice(3)).toEqual([SUBJECTS]);
  });

  test("an answer that is kept is given while the API server is away", async () => {
    const { state, status } = world();
    expect(await status("Bearer good")).toBe(200);
    state.fault = "no response in time";
    expect(await status("Bearer good")).toBe(200);
    state.nowMs += 60_000;
    expect(await status("Bearer good")).toBe(500);
  });
});

describe("a failure closes the access", () => {
  test("of the review: it is logged once until a review succeeds, and is not kept", async () => {
    const { state, status, warnings } = world();
    state.fault = "403 tokenreviews is forbidden";
    expect([await status("Bearer good"), await status("Bearer good")]).toEqual([500, 500]);
    expect(warnings).toEqual([expect.stringContaining("403 tokenreviews is forbidden")]);
    state.fault = "";
    expect(await status("Bearer good")).toBe(200);
    state.fault = "403 tokenreviews is forbidden";
    state.nowMs += 60_000;
    await status("Bearer good");
    expect(warnings).toHaveLength(2);
  });

  test.each<[string, unknown]>([
    ["another object", { kind: "Status", status: { authenticated: true, user: PROMETHEUS } }],
    ["an object without a status", { kind: "TokenReview" }],
    ["text", "TokenReview"],
    ["nothing", undefined],
  ])("of the response: %s", async (_, answer) => {
    const create = async () => answer;
    const logger = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} } as Logger;
    const control = new AccessControl({ clock: { now: () => 1 }, logger, create });
    const refusal = await control.refusal({ authorization: "Bearer good", method: "GET", path: "/metrics" });
    expect(refusal?.status).toBe(500);
  });
});

test("a client with many tokens causes at most twenty reviews at once and then five a second", async () => {
  const { state, status, paths } = world();
  const flood = async (from: number) => {
    const statuses: number[] = [];
    for (let index = from; index < from + 500; index++) statuses.push(await status(`Bearer t${index}`));
    return statuses.filter((one) => one === 429).length;
  };
  expect(await flood(0)).toBe(480);
  state.nowMs += 1000;
  expect(await flood(500)).toBe(495);
  expect(paths()).toHaveLength(25);
});
