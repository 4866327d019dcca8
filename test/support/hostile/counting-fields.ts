import type { Same } from "../../../src/model/equality.ts";

/** Another value for each field of a T. */
export type Changed<T> = { readonly [Field in keyof T]-?: T[Field] };

/** Names of the fields that make a T another one when they alone are changed. */
export function countingFields<T extends object>(same: Same<T>, base: T, changed: Changed<T>): readonly string[] {
  const names = Object.keys(changed) as (keyof T & string)[]; // a Changed<T> has the fields of T and no others
  return names.filter((name) => !same(base, { ...base, [name]: changed[name] }));
}
