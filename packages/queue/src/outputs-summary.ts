import type { UiOutput } from '@tiercel/contracts';

/**
 * What GET /api/jobs shows of a job's outputs, by the rules of ComfyUI 0.33 (comfy_execution/jobs.py).
 */
export interface OutputsSummary {
  /** Every file; a text that a node shows is none. */
  readonly count: number;
  /** Of these, the ones that frontends can show: pictures, videos, sounds, 3D models, text files. */
  readonly previewableCount: number;
  /** `{filename, subfolder, type, nodeId, mediaType}`, or text. */
  readonly preview: Shown | undefined;
}

type Shown = Readonly<Record<string, unknown>>;

/** Best first: a saved file, another one, a text file, a text. */
const RANKS = ['saved', 'other', 'textFile', 'text'] as const;
type Rank = (typeof RANKS)[number];

const MEDIA_KEYS = new Set(['images', 'video', 'audio', '3d', 'text']);
const MODEL_3D = /\.(obj|fbx|gltf|glb|usdz)$/i;
const TEXT_FILE = /\.(txt|md|json)$/i;
const MAX_PREVIEW_TEXT = 1024;

/** @param outputs what each node has shown, in their order */
export function summariseOutputs(outputs: Readonly<Record<string, UiOutput>>): OutputsSummary {
  let count = 0;
  let previewableCount = 0;
  const firsts = new Map<Rank, Shown>();
  const offer = (rank: Rank, shown: Shown): void => {
    if (!firsts.has(rank)) firsts.set(rank, shown);
  };
  for (const [nodeId, mediaType, item] of eachItem(outputs)) {
    const file = toFile(item);
    if (file === undefined) {
      if (mediaType === 'text' && item !== null) offer('text', describeText(item, nodeId));
      continue;
    }
    count += 1;
    if (!isPreviewable(mediaType, file)) continue;
    previewableCount += 1;
    offer(rankOf(mediaType, file), { mediaType, ...file, nodeId });
  }
  const rank = RANKS.find((candidate) => firsts.has(candidate));
  return { count, previewableCount, preview: rank === undefined ? undefined : firsts.get(rank) };
}

function* eachItem(
  outputs: Readonly<Record<string, UiOutput>>,
): Generator<[nodeId: string, mediaType: string, item: unknown]> {
  for (const [nodeId, ui] of Object.entries(outputs)) {
    for (const [mediaType, items] of Object.entries(ui)) {
      // A flag of the picture beside it, not an output.
      if (mediaType === 'animated' || !Array.isArray(items)) continue;
      for (const item of items as readonly unknown[]) yield [nodeId, mediaType, item];
    }
  }
}

/** A file that an item names: as an object, or a 3D model by its bare name. */
function toFile(item: unknown): Shown | undefined {
  if (typeof item === 'string' && MODEL_3D.test(item)) {
    return { filename: item, type: 'output', subfolder: '', mediaType: '3d' };
  }
  const isObject = typeof item === 'object' && item !== null && !Array.isArray(item);
  return isObject ? (item as Shown) : undefined;
}

function isPreviewable(mediaType: string, { format, filename }: Shown): boolean {
  if (MEDIA_KEYS.has(mediaType)) return true;
  if (typeof format === 'string' && /^(video|audio)\//.test(format)) return true;
  return typeof filename === 'string' && (MODEL_3D.test(filename) || TEXT_FILE.test(filename));
}

function rankOf(mediaType: string, { type, filename }: Shown): Rank {
  const isTextFile = typeof filename === 'string' && TEXT_FILE.test(filename);
  if (mediaType === 'text' || isTextFile) return 'textFile';
  return type === 'output' ? 'saved' : 'other';
}

function describeText(item: unknown, nodeId: string): Shown {
  const text = typeof item === 'string' ? item : JSON.stringify(item);
  const truncated = text.length > MAX_PREVIEW_TEXT ? { truncated: true } : {};
  return { content: text.slice(0, MAX_PREVIEW_TEXT), ...truncated, nodeId, mediaType: 'text' };
}
