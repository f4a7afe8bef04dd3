/** The texts of one prompt as one: encoders mostly get the same text twice, or a summary; what adds nothing is left out. */
export function joinTexts(texts: readonly string[]): string {
  const kept: string[] = [];
  for (const text of texts.map((part) => part.trim())) {
    if (text !== '' && !kept.some((known) => known.includes(text))) kept.push(text);
  }
  return kept.join(', ');
}
