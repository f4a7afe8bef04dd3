/** The texts of one prompt as one: encoders mostly get the same text twice, or a summary; what adds nothing is left out. */
export function joinTexts(texts: readonly string[]): string {
  const kept: string[] = [];
  for (const text of texts.map((part) => part.trim())) {
    if (text !== '' && !kept.some((known) => known.includes(text))) kept.push(text);
  }
  return kept.join(', ');
}

/** Far more than real prompts have. It bounds the work of a crafted graph, whose nodes could all use one long text. */
const MAX_TOTAL_CHARS = 20_000_000;
/** Of one text that nodes join, replace or convert: doubling it a few times would fill the memory. */
export const MAX_JOINED_CHARS = 100_000;

/** How much text may still be looked at for one graph. */
export class TextBudget {
  #charsLeft = MAX_TOTAL_CHARS;

  /** False when that would be too much. */
  spend(chars: number): boolean {
    if (chars > this.#charsLeft) return false;
    this.#charsLeft -= chars;
    return true;
  }
}
