import { basename } from "node:path";

/**
 * Returns the first sentence of a doc comment of the source file: that of the export which gives the file its name, else of
 * the first exported class or function, else the first one. "" without a comment.
 */
export function purposeOf(file: string, source: string): string {
  const comments = [...source.matchAll(/\/\*\*([\s\S]*?)\*\/\n(.*)/g)].map(([, text = "", code = ""]) => ({
    text,
    code,
  }));
  const main = new RegExp(`^export (?:async )?\\w+\\*? ${basename(file, ".ts").replaceAll("-", "")}\\b`, "i");
  const comment =
    comments.find(({ code }) => main.test(code)) ??
    comments.find(({ code }) => /^export (?:async )?(?:class|function)/.test(code)) ??
    comments[0];
  const prose = (comment?.text ?? "")
    .replace(/^\s*\* ?/gm, " ")
    .replace(/\s+/g, " ")
    .trim();
  return /^.*?[.:](?= |$)/.exec(prose)?.[0].replace(/:$/, ".") ?? prose;
}
