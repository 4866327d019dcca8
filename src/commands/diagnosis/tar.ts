/** A text file of an archive. */
export interface TextFile {
  /** At most 100 bytes of ASCII. */
  readonly name: string;
  readonly text: string;
}

const BLOCK = 512;

/** Returns the files as a tar archive (POSIX ustar), as text: its UTF-8 bytes are the archive. */
export function tarText(files: readonly TextFile[], mtimeSeconds: number): string {
  const members = files.map((file) => {
    const size = Buffer.byteLength(file.text);
    return header(file.name, size, mtimeSeconds) + file.text + "\0".repeat((BLOCK - (size % BLOCK)) % BLOCK);
  });
  // Two empty blocks end an archive.
  return `${members.join("")}${"\0".repeat(2 * BLOCK)}`;
}

/** The fields of a header, in order; numbers are octal, and the checksum is made as if it were spaces. */
function header(name: string, size: number, mtimeSeconds: number): string {
  const before = [
    field(name, 100),
    octal(0o600, 8),
    octal(0, 8),
    octal(0, 8),
    octal(size, 12),
    octal(mtimeSeconds, 12),
  ].join("");
  const after = `0${field("", 100)}ustar\0${"00"}${field("", BLOCK - 148 - 8 - 1 - 100 - 8)}`;
  const sum = [...Buffer.from(`${before}${" ".repeat(8)}${after}`)].reduce((total, byte) => total + byte, 0);
  return `${before}${sum.toString(8).padStart(6, "0")}\0 ${after}`;
}

function field(text: string, length: number): string {
  return text.slice(0, length).padEnd(length, "\0");
}

function octal(value: number, length: number): string {
  return `${Math.floor(value)
    .toString(8)
    .padStart(length - 1, "0")}\0`;
}
