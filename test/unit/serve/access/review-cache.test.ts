import { expect, test } from "vitest";
import { ReviewCache } from "../../../../src/serve/access/review-cache.ts";

test("at most 256 results are kept, the newest ones", async () => {
  const cache = new ReviewCache<number>(() => 0);
  let reviews = 0;
  const get = (key: number) => cache.get(String(key), async () => ({ result: ++reviews, keepMs: 1000 }));
  for (let key = 0; key < 1000; key++) await get(key);
  expect(cache.size).toBe(256);
  await get(999);
  await get(744);
  expect(reviews).toBe(1000);
  await get(743);
  expect(reviews).toBe(1001);
});

test("a review that fails is repeated by the next request", async () => {
  const cache = new ReviewCache<number>(() => 0);
  await expect(cache.get("a", () => Promise.reject(new Error("lost")))).rejects.toThrow("lost");
  expect(await cache.get("a", async () => ({ result: 1, keepMs: 1 }))).toBe(1);
});
