/** The formulas of ComfyUI's ImageBlend for one sample of each picture, by the name of the mode. */
export function blendPixel(mode: string): (a: number, b: number) => number {
  switch (mode) {
    case 'multiply':
      return (a, b) => a * b;
    case 'screen':
      return (a, b) => 1 - (1 - a) * (1 - b);
    case 'overlay':
      return (a, b) => (a <= 0.5 ? 2 * a * b : 1 - 2 * (1 - a) * (1 - b));
    case 'soft_light':
      return (a, b) =>
        b <= 0.5 ? a - (1 - 2 * b) * a * (1 - a) : a + (2 * b - 1) * (lighten(a) - a);
    case 'difference':
      return (a, b) => a - b;
    default:
      return (_, b) => b;
  }
}

function lighten(value: number): number {
  return value <= 0.25 ? ((16 * value - 12) * value + 4) * value : Math.sqrt(value);
}
