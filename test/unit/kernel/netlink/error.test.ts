import { expect, test } from "vitest";
import { errnoName, NetlinkError } from "../../../../src/kernel/netlink/error.ts";

test.each([
  [2, "ENOENT"],
  [3, "ESRCH"],
  [11, "EAGAIN"],
  [17, "EEXIST"],
  [35, "EDEADLK"],
  [95, "EOPNOTSUPP"],
  [4103, "E4103"],
])("errno %d is called %s", (errno, name) => {
  expect(errnoName(errno)).toBe(name);
});

test("an error message has the failed request and the reason", () => {
  expect(new NetlinkError("list addresses", "ETIMEDOUT").message).toBe("Cannot list addresses: ETIMEDOUT");
  expect(new NetlinkError("list addresses", "EINVAL", "bad family").message).toBe(
    "Cannot list addresses: EINVAL (bad family)",
  );
});
