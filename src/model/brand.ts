declare const brand: unique symbol;

/** A `Base` that only the constructors in `model/` make: it is parsed and canonical, so `===` compares it. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
