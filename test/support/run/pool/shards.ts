/** Deals files out to `count` shards: the longest first, each to the shard that has the least to do. */
export function evenShards<File>(
  files: readonly File[],
  count: number,
  secondsOf: (file: File) => number,
): readonly (readonly File[])[] {
  const shards = Array.from({ length: count }, () => ({ files: [] as File[], seconds: 0 }));
  for (const file of files.toSorted((a, b) => secondsOf(b) - secondsOf(a))) {
    const least = shards.reduce((best, shard) => (shard.seconds < best.seconds ? shard : best));
    least.files.push(file);
    least.seconds += secondsOf(file);
  }
  return shards.map((shard) => shard.files);
}
