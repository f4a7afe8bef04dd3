import type { SketchRecipe } from '../values.ts';
import { createRandom, hashText } from './random.ts';

type Color = readonly [r: number, g: number, b: number];

/** A layered landscape: positions and sizes as shares of the picture's height (x: of its width). */
export interface Scene {
  readonly skyTop: Color;
  readonly skyBottom: Color;
  readonly cloud: Color;
  readonly mist: Color;
  readonly sun: {
    readonly x: number;
    readonly y: number;
    readonly radius: number;
    readonly color: Color;
  };
  /** From the farthest to the nearest. */
  readonly ridges: readonly {
    readonly base: number;
    readonly relief: number;
    readonly frequency: number;
    readonly seed: number;
    readonly color: Color;
  }[];
  readonly noiseSeed: number;
  readonly octaves: number;
  readonly contrast: number;
}

/** Words that set the hue (degrees) when the prompt has them and the negative prompt has not. */
const HUES = new Map(
  Object.entries({
    red: 2,
    fox: 18,
    autumn: 22,
    orange: 28,
    desert: 34,
    sunset: 20,
    golden: 40,
    gold: 42,
    yellow: 52,
    spring: 95,
    green: 125,
    forest: 135,
    grass: 110,
    jungle: 140,
    teal: 175,
    ice: 195,
    sky: 205,
    blue: 215,
    sea: 200,
    ocean: 208,
    water: 200,
    night: 235,
    purple: 275,
    violet: 270,
    pink: 330,
    rose: 340,
  }),
);
const PALE = new Set(['snow', 'snowy', 'white', 'winter', 'ice', 'fog', 'foggy', 'mist']);
const DARK = new Set(['night', 'dark', 'black', 'moon', 'midnight', 'noir']);

/** Decides what a recipe looks like. The same recipe always gives the same scene. */
export function composeScene(recipe: SketchRecipe): Scene {
  const { prompt, negative, seed, index, steps, cfg, style } = recipe;
  const random = createRandom(
    JSON.stringify([prompt, negative, String(seed), index, style, cfg, steps]),
  );
  const unwanted = new Set(splitWords(negative));
  const words = splitWords(prompt).filter((word) => !unwanted.has(word));

  const named = words.map((word) => HUES.get(word)).filter((hue) => hue !== undefined);
  const mood = (hashText(prompt)[0] ?? 0) % 360; // without colour words, the prompt still keeps its hue
  const hue = (named[Math.floor(random() * named.length)] ?? mood) + (random() - 0.5) * 24;
  const accent = (named.at(-1) ?? hue + 150 + random() * 60) + (random() - 0.5) * 16;
  // Warm hues darken towards red: towards yellow they would turn olive.
  const turn = hue < 75 ? -1 : 1;
  const light = words.some((word) => DARK.has(word)) ? 0.45 : 1;
  const saturation = words.some((word) => PALE.has(word)) ? 0.28 : 0.45 + random() * 0.25;

  const horizon = 0.42 + random() * 0.2;
  const count = 3 + Math.floor(random() * 3);
  const mist = toRgb(hue + 20, saturation * 0.6, 0.82 * light);
  return {
    skyTop: toRgb(hue + turn * 28, saturation, 0.42 * light),
    skyBottom: toRgb(accent, saturation * 0.9, 0.78 * light),
    cloud: toRgb(accent + 12, saturation * 0.5, 0.93 * light),
    mist,
    sun: {
      x: 0.15 + random() * 0.7,
      y: horizon * (0.35 + random() * 0.5),
      radius: 0.035 + random() * 0.06,
      color: toRgb(accent + 8, 0.75, light < 1 ? 0.86 : 0.92),
    },
    ridges: Array.from({ length: count }, (_, i) => {
      const near = (i + 1) / count;
      return {
        base: horizon + near * (0.92 - horizon) * (0.75 + random() * 0.3),
        relief: 0.1 + random() * 0.16,
        frequency: 1.2 + near * 1.6 + random() * 1.5,
        seed: Math.floor(random() * 0xffff_ffff),
        color: toRgb(
          hue + turn * near * 20,
          saturation * (0.55 + near * 0.35),
          (0.62 - near * 0.46) * light,
        ),
      };
    }),
    noiseSeed: Math.floor(random() * 0xffff_ffff),
    octaves: 3 + Math.min(3, Math.floor(Math.log2(Math.max(1, steps)) / 2)),
    contrast: 0.9 + Math.min(cfg, 20) / 50,
  };
}

function splitWords(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** HSL (degrees, 0..1, 0..1) to RGB in 0..1. */
function toRgb(hue: number, saturation: number, lightness: number): Color {
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n: number) => {
    const k = (((n + hue / 30) % 12) + 12) % 12;
    return lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  };
  return [channel(0), channel(8), channel(4)];
}
