/** Whether a kernel with this release ("6.1.0-18-amd64") is older than the version; false if it cannot be read. */
export function isOlderKernel(release: string, major: number, minor: number): boolean {
  const match = /^(\d+)\.(\d+)/.exec(release);
  if (match === null) return false;
  const [, first, second] = match.map(Number);
  return Number(first) < major || (Number(first) === major && Number(second) < minor);
}
