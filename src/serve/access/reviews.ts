/** The paths at which reviews are created. */
export const REVIEW_PATHS = {
  token: "/apis/authentication.k8s.io/v1/tokenreviews",
  subject: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
};

/** The user of a token, as the API server names it. */
export interface ReviewedUser {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** A TokenReview (authentication.k8s.io/v1): whose token is this? */
export function tokenReview(token: string): object {
  return { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
}

/** A SubjectAccessReview (authorization.k8s.io/v1): may the user access this path, which is no resource? */
export function subjectAccessReview(
  { username, uid, groups, extra }: ReviewedUser,
  verb: string,
  path: string,
): object {
  return {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    spec: { user: username, uid, groups, extra, nonResourceAttributes: { path, verb } },
  };
}

/** The user of a TokenReview in a response; undefined if the token is not valid. Throws if the response is no TokenReview. */
export function reviewedUser(review: unknown): ReviewedUser | undefined {
  const status = member(review, "status");
  if (member(review, "kind") !== "TokenReview" || status === undefined)
    throw new Error("The response of the API server is not a TokenReview");
  const user = member(status, "user");
  const username = member(user, "username");
  if (member(status, "authenticated") !== true || typeof username !== "string" || username === "") return undefined;
  const uid = member(user, "uid");
  return {
    username,
    uid: typeof uid === "string" ? uid : "",
    groups: texts(member(user, "groups")),
    extra: Object.fromEntries(Object.entries(member(user, "extra") ?? {}).map(([key, values]) => [key, texts(values)])),
  };
}

/** Whether a SubjectAccessReview in a response allows the access. Throws if the response is no SubjectAccessReview. */
export function isAllowed(review: unknown): boolean {
  const status = member(review, "status");
  if (member(review, "kind") !== "SubjectAccessReview" || status === undefined)
    throw new Error("The response of the API server is not a SubjectAccessReview");
  return member(status, "allowed") === true && member(status, "denied") !== true;
}

function member(value: unknown, key: string): unknown {
  // The check proves that the value has members.
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
