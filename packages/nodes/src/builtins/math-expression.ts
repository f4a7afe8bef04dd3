import { roundHalfEven } from '../image/scale-image.ts';
import { NodeError } from '../node-definition.ts';

/**
 * The expressions of ComfyMathExpression: Python's arithmetic, comparisons, `and`, `or`, `not`, `x if c else y`
 * and the functions that the node offers. Numbers are doubles here; a boolean stays one.
 */

type Value = number | boolean;

/** Longer or more deeply nested ones are refused: they come from callers. */
const MAX_CHARS = 2_000;
const MAX_DEPTH = 64;
const TOKEN =
  /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|\/\/|<=|>=|==|!=|[-+*/%()<>,]))/y;

const FUNCTIONS: Readonly<Record<string, (...args: number[]) => number>> = {
  sum: (...args) => args.reduce((total, value) => total + value, 0),
  min: Math.min,
  max: Math.max,
  abs: Math.abs,
  round: (value = 0, digits = 0) => roundHalfEven(value * 10 ** digits) / 10 ** digits,
  pow: (base = 0, exponent = 0) => base ** exponent,
  sqrt: Math.sqrt,
  ceil: Math.ceil,
  floor: Math.floor,
  log: (value = 0, base = Math.E) => (base === Math.E ? Math.log(value) : logTo(value, base)),
  log2: Math.log2,
  log10: Math.log10,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  int: Math.trunc,
  float: (value = 0) => value,
};

function logTo(value: number, base: number): number {
  return Math.log(value) / Math.log(base);
}

/**
 * @param names what `a`, `b` and so on stand for
 * @throws NodeError when it is no expression, names what there is not, or has no finite value
 */
export function evaluateExpression(text: string, names: ReadonlyMap<string, Value>): Value {
  if (text.trim() === '') throw fail('Expression cannot be empty.');
  if (text.length > MAX_CHARS) throw fail(`The expression is longer than ${MAX_CHARS} characters.`);
  const value = new Parser(text, names).parse();
  if (!Number.isFinite(Number(value))) {
    throw fail(`Math Expression '${text}' has no finite result.`);
  }
  return value;
}

function fail(message: string): NodeError {
  return new NodeError(message, { exceptionType: 'ValueError' });
}

/** One method a precedence, loosest first, as in Python's grammar. */
class Parser {
  readonly #text: string;
  readonly #names: ReadonlyMap<string, Value>;
  readonly #tokens: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(text: string, names: ReadonlyMap<string, Value>) {
    this.#text = text;
    this.#names = names;
    this.#tokens = tokenize(text);
  }

  parse(): Value {
    const value = this.#conditional();
    if (this.#peek() !== undefined) throw this.#unexpected();
    return value;
  }

  #conditional(): Value {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw fail('The expression is nested too deeply.');
    const value = this.#or();
    const result = this.#take('if') ? this.#choose(value) : value;
    this.#depth -= 1;
    return result;
  }

  #choose(value: Value): Value {
    const condition = this.#or();
    this.#expect('else');
    const other = this.#conditional();
    return condition ? value : other;
  }

  #or(): Value {
    let value = this.#and();
    while (this.#take('or')) {
      const right = this.#and();
      value = value || right;
    }
    return value;
  }

  #and(): Value {
    let value = this.#not();
    while (this.#take('and')) {
      const right = this.#not();
      value = value && right;
    }
    return value;
  }

  #not(): Value {
    return this.#take('not') ? !this.#not() : this.#comparison();
  }

  /** `1 < a < 3` holds when both do. */
  #comparison(): Value {
    let left = this.#sum();
    let result: Value = left;
    for (let index = 0; ; index += 1) {
      const operator = this.#takeAny(['<', '<=', '>', '>=', '==', '!=']);
      if (operator === undefined) return result;
      const right = this.#sum();
      const holds = compare(operator, Number(left), Number(right));
      result = index === 0 ? holds : result && holds;
      left = right;
    }
  }

  #sum(): Value {
    let value = this.#product();
    for (;;) {
      const operator = this.#takeAny(['+', '-']);
      if (operator === undefined) return value;
      const right = Number(this.#product());
      value = operator === '+' ? Number(value) + right : Number(value) - right;
    }
  }

  #product(): Value {
    let value = this.#sign();
    for (;;) {
      const operator = this.#takeAny(['*', '/', '//', '%']);
      if (operator === undefined) return value;
      value = multiply(operator, Number(value), Number(this.#sign()));
    }
  }

  #sign(): Value {
    const operator = this.#takeAny(['+', '-']);
    if (operator === undefined) return this.#power();
    const value = Number(this.#sign());
    return operator === '-' ? -value : value;
  }

  /** Binds tighter than a sign on its left, looser than one on its right. */
  #power(): Value {
    const base = this.#atom();
    return this.#take('**') ? Number(base) ** Number(this.#sign()) : base;
  }

  #atom(): Value {
    const token = this.#peek();
    if (token === undefined) throw this.#unexpected();
    this.#at += 1;
    if (token === '(') {
      const value = this.#conditional();
      this.#expect(')');
      return value;
    }
    if (/^[.\d]/.test(token)) return Number(token);
    if (token === 'True' || token === 'False') return token === 'True';
    if (this.#take('(')) return this.#call(token);
    const value = this.#names.get(token);
    if (value === undefined) throw fail(`'${token}' is not defined for expression '${this.#text}'`);
    return value;
  }

  #call(name: string): Value {
    const apply = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (apply === undefined) throw fail(`Function '${name}' not defined.`);
    const given: number[] = [];
    while (!this.#take(')')) {
      if (given.length > 0) this.#expect(',');
      if (name === 'sum' && this.#take('values')) {
        given.push(...[...this.#names.values()].map(Number));
      } else {
        given.push(Number(this.#conditional()));
      }
    }
    return apply(...given);
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #take(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at += 1;
    return true;
  }

  #takeAny(tokens: readonly string[]): string | undefined {
    const token = this.#peek();
    if (token === undefined || !tokens.includes(token)) return undefined;
    this.#at += 1;
    return token;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw this.#unexpected();
  }

  #unexpected(): NodeError {
    const token = this.#peek();
    const what = token === undefined ? 'it ends too soon' : `"${token}" is not expected there`;
    return fail(`Math Expression '${this.#text}' cannot be read: ${what}.`);
  }
}

function tokenize(text: string): readonly string[] {
  const tokens: string[] = [];
  const trimmed = text.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < trimmed.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(trimmed);
    if (match === null)
      throw fail(`Math Expression '${text}' cannot be read at "${trimmed.slice(at, at + 20)}".`);
    tokens.push(match[1] ?? match[2] ?? match[3] ?? '');
  }
  return tokens;
}

function compare(operator: string, left: number, right: number): boolean {
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '==':
      return left === right;
    default:
      return left !== right;
  }
}

/** Python's `//` and `%` go towards minus infinity. */
function multiply(operator: string, left: number, right: number): number {
  if (operator === '*') return left * right;
  if (right === 0) throw new NodeError('division by zero', { exceptionType: 'ZeroDivisionError' });
  if (operator === '/') return left / right;
  const quotient = Math.floor(left / right);
  return operator === '//' ? quotient : left - right * quotient;
}
