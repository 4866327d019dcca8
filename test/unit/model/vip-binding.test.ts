import { expect, test } from "vitest";
import {
  bindingsOf,
  boundVips,
  hasBinding,
  VIP_BINDINGS,
  type VipBinding,
  type VipBindings,
  withBinding,
  withoutBinding,
} from "../../../src/model/vip-binding.ts";
import { address } from "../../support/objects/desired.ts";

const ALL: readonly (VipBindings | undefined)[] = [undefined, "address", "route", "both"];

test.each(ALL)("the bindings %s behave as a set of bindings", (bindings) => {
  const set = new Set<VipBinding>(bindingsOf(bindings));
  for (const binding of VIP_BINDINGS) {
    expect(hasBinding(bindings, binding)).toBe(set.has(binding));
    expect(new Set(bindingsOf(withBinding(bindings, binding)))).toEqual(new Set([...set, binding]));
    expect(new Set(bindingsOf(withoutBinding(bindings, binding)))).toEqual(
      new Set([...set].filter((one) => one !== binding)),
    );
  }
});

test("a VIP that is an address and has a route has both bindings", () => {
  const [one, two, three] = [address("10.96.0.1"), address("10.96.0.2"), address("fd00:96::3")];
  expect(boundVips({ address: [one, two], route: [two, three] })).toEqual(
    new Map([
      [one, "address"],
      [two, "both"],
      [three, "route"],
    ]),
  );
});
