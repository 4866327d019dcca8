import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { tarText } from "../../../../src/commands/diagnosis/tar.ts";

test("tar lists and reads the files of an archive, of any length and any language", () => {
  const files = [
    { name: "kube-ipvs/empty.txt", text: "" },
    { name: "kube-ipvs/block.txt", text: "x".repeat(512) },
    { name: "kube-ipvs/kernel/two.txt", text: `grüße ${"y".repeat(600)}\n` },
  ];
  const input = tarText(files, 1_700_000_000);
  expect(execFileSync("tar", ["-tf", "-"], { input, encoding: "utf8" }).trim().split("\n")).toEqual(
    files.map(({ name }) => name),
  );
  for (const { name, text } of files)
    expect(execFileSync("tar", ["-xOf", "-", name], { input, encoding: "utf8" })).toBe(text);
});
