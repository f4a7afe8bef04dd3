/** What a benchmark found: a figure of Tiercel beside the figure of its reference. */
export interface Figure {
  readonly name: string;
  /** E.g. `requests/s`. */
  readonly unit: string;
  readonly tiercel: number;
  /** Undefined: the figure stands alone. */
  readonly reference?: { readonly name: string; readonly value: number };
  /** Undefined: told, not judged. */
  readonly aim?: Aim;
}

interface Aim {
  /** Bounds of tiercel / reference. */
  readonly ratio?: Bound;
  /** Bounds of Tiercel's own figure. */
  readonly value?: Bound;
}

type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** A table for people, one line a figure. */
export function formatTable(figures: readonly Figure[]): string {
  const head = ['benchmark', 'tiercel', 'reference', 'ratio', 'aim', 'met'];
  const rows = [head, ...figures.map(formatRow)];
  const widths = head.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return `${lines.join('\n')}\n`;
}

function formatRow({ name, unit, tiercel, reference, aim }: Figure): string[] {
  const ratio = reference === undefined ? undefined : tiercel / reference.value;
  const aims: [text: string, isMet: boolean][] = [];
  if (aim?.ratio !== undefined) {
    aims.push([`ratio ${formatBound(aim.ratio)}`, isWithin(ratio ?? NaN, aim.ratio)]);
  }
  if (aim?.value !== undefined) {
    aims.push([`${formatBound(aim.value)} ${unit}`, isWithin(tiercel, aim.value)]);
  }
  return [
    name,
    `${formatNumber(tiercel)} ${unit}`,
    reference === undefined ? '' : `${formatNumber(reference.value)} (${reference.name})`,
    ratio === undefined ? '' : ratio.toFixed(2),
    aims.map(([text]) => text).join(', '),
    aims.map(([, isMet]) => (isMet ? 'yes' : 'NO')).join(', '),
  ];
}

function formatBound(bound: Bound): string {
  return 'atLeast' in bound ? `>= ${bound.atLeast}` : `<= ${bound.atMost}`;
}

function isWithin(value: number, bound: Bound): boolean {
  return 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost;
}

export function formatNumber(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
