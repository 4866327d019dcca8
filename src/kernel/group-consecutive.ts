/** Groups consecutive items of the same name, in the order given: `[a, a, b, a]` gives three groups. */
export function groupConsecutive<Item, Name>(
  items: readonly Item[],
  nameOf: (item: Item) => Name,
): readonly Group<Item, Name>[] {
  const groups: { name: Name; items: Item[] }[] = [];
  let current: { name: Name; items: Item[] } | undefined;
  items.forEach((item) => {
    const name = nameOf(item);
    if (current === undefined || current.name !== name) {
      current = { name, items: [] };
      groups.push(current);
    }
    current.items.push(item);
  });
  return groups;
}

export interface Group<Item, Name> {
  readonly name: Name;
  readonly items: readonly Item[];
}
