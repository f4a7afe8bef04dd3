/**
 * A text with comments and choices, as the editor sends it: block comments and those to the end of a line are
 * cut first (in addresses too), then one of each `{a|b}` is drawn, inner ones as well, and `\{`, `\}`, `\|` lose
 * their backslash. A brace that nothing closes runs to the end.
 * @param random draws from 0 to below 1
 */
export function drawPrompt(text: string, random: () => number): string {
  const bare = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  return new ChoiceReader(bare, random).readText();
}

/** Deeper braces than any text has: they are read as one. */
const MAX_DEPTH = 100;

class ChoiceReader {
  readonly #text: string;
  readonly #random: () => number;
  #at = 0;

  constructor(text: string, random: () => number) {
    this.#text = text;
    this.#random = random;
  }

  readText(): string {
    let read = '';
    while (this.#at < this.#text.length) {
      const sign = this.#text.charAt(this.#at);
      this.#at += 1;
      if (sign === '{') read += this.#readChoice(1);
      else read += sign === '\\' ? this.#readEscape() : sign;
    }
    return read;
  }

  #readChoice(depth: number): string {
    const options = [''];
    const append = (part: string) => {
      options.push(`${options.pop() ?? ''}${part}`);
    };
    while (this.#at < this.#text.length) {
      const sign = this.#text.charAt(this.#at);
      this.#at += 1;
      if (sign === '}') break;
      if (sign === '|') options.push('');
      else if (sign === '{') append(depth < MAX_DEPTH ? this.#readChoice(depth + 1) : '');
      else append(sign === '\\' ? this.#readEscape() : sign);
    }
    return options[Math.floor(this.#random() * options.length)] ?? '';
  }

  #readEscape(): string {
    const next = this.#text.charAt(this.#at);
    if (next !== '{' && next !== '}' && next !== '|') return '\\';
    this.#at += 1;
    return next;
  }
}
