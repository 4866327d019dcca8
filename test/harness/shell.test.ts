import { expect, test } from "vitest";
import { Shell } from "../support/node/shell.ts";

test("a script whose command fails is an error with what it printed, and the next one runs", async () => {
  await using shell = new Shell();
  expect(await shell.run("echo one; echo two >&2")).toBe("one\ntwo\n");
  await expect(shell.run("echo why; false; echo never")).rejects.toThrow('"echo why; false; echo never" failed: why');
  expect(await shell.run("true")).toBe("");
});

test("a shell that is killed before or while it runs a script has an end", async () => {
  // No script with a program that goes on: that would keep the output open.
  for (const script of [undefined, "true"])
    for (let turn = 0; turn < 20; turn++) {
      await using shell = new Shell();
      if (script !== undefined) void shell.run(script).catch(() => undefined);
    }
});
