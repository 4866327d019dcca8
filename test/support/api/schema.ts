import * as kubernetes from "@kubernetes/client-node";

interface Attribute {
  readonly name: string;
  readonly type: string;
}

/** Fields of an object that its type does not have, as paths; the types are client-node's, made from the API's own description. */
export function unknownFields(object: object, type: string): readonly string[] {
  if (typeof Reflect.get(kubernetes, type) !== "function") throw new Error(`There is no type ${type}`);
  return unknownIn(object, type, "");
}

function unknownIn(value: unknown, type: string, path: string): readonly string[] {
  const item = /^Array<(.+)>$/.exec(type)?.[1] ?? /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (item !== undefined) return children(value).flatMap(([key, child]) => unknownIn(child, item, `${path}.${key}`));
  const model: unknown = Reflect.get(kubernetes, type);
  if (typeof model !== "function") return [];
  const attributes: readonly Attribute[] = Reflect.get(model, "attributeTypeMap");
  return children(value).flatMap(([key, child]) => {
    const attribute = attributes.find(({ name }) => name === key);
    return attribute === undefined ? [`${path}.${key}`] : unknownIn(child, attribute.type, `${path}.${key}`);
  });
}

function children(value: unknown): readonly (readonly [string, unknown])[] {
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}
