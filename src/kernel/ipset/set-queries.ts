import { type IPSet, MOST_MEMBERS } from "../../model/kernel/ipset.ts";
import { type SetQuestion, testedMember } from "../../model/kernel/set-question.ts";
import { type IPSetRequests, matches } from "./requests.ts";

/** The members of a set. A set at its limit grows, up to the hard limit. */
export interface SetFill {
  readonly name: string;
  readonly members: number;
  readonly limit: number;
  readonly hardLimit: number;
}

/** Returns how full those of the sets are that exist and have a limit. */
export async function fillsOf(
  requests: Pick<IPSetRequests, "headers">,
  sets: readonly IPSet[],
): Promise<readonly SetFill[]> {
  const found = await requests.headers();
  return sets.flatMap((set) => {
    const header = found.get(set.name);
    if (!matches(header, set) || header.maxElements === 0) return [];
    return [{ name: set.name, members: header.members, limit: header.maxElements, hardLimit: MOST_MEMBERS }];
  });
}

/**
 * Returns whether a packet is in each of the sets, also in those of other programs, as the kernel finds it; undefined if
 * the set does not exist, or has parts that are not known of the packet.
 */
export async function areIn(
  requests: Pick<IPSetRequests, "headers" | "test">,
  questions: readonly SetQuestion[],
): Promise<readonly (boolean | undefined)[]> {
  if (questions.length === 0) return [];
  const headers = await requests.headers();
  const answers: (boolean | undefined)[] = [];
  for (const question of questions) {
    const header = headers.get(question.set);
    const member = header === undefined ? undefined : testedMember(header.type, question);
    answers.push(member === undefined ? undefined : await requests.test(question.set, member));
  }
  return answers;
}
