import { getPriority } from "node:os";
import { expect, test } from "vitest";
import { runProcess } from "../../../src/kernel/run-process.ts";

const shell = (script: string, input?: string) => runProcess("sh", ["-c", script], input);

test("the output and the exit code of a program are returned", async () => {
  expect(await shell("cat; echo oops >&2; exit 3", "given")).toEqual({ code: 3, stdout: "given", stderr: "oops\n" });
  expect(await shell("echo fine")).toEqual({ code: 0, stdout: "fine\n", stderr: "" });
});

test("a missing program ends with 127", async () => {
  expect(await runProcess("/no/such/program", [])).toMatchObject({ code: 127 });
});

test("a program without input runs at a lower priority, a program that writes does not", async () => {
  expect(await shell("until [ $(nice) -ge 10 ]; do :; done")).toMatchObject({ code: 0 });
  expect(await shell("nice", "rules")).toMatchObject({ stdout: `${getPriority()}\n` });
});
