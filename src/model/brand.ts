declare const brand: unique symbol;

/** A `Base` that only the constructors in `model/` make: parsed, canonical, and so comparable with `===`. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
