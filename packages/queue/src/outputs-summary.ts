import type { UiOutput } from '@tiercel/contracts';

/**
 * What GET /api/jobs shows of a job's outputs, by ComfyUI's rules (WIRE.md 2.1).
 */
export interface OutputsSummary {
  readonly count: number;
  /** `{filename, subfolder, type, nodeId, mediaType}`, or text. */
  readonly preview: Readonly<Record<string, unknown>> | undefined;
}

const MEDIA_KEYS = new Set(['images', 'video', 'audio', '3d', 'text']);
const MODEL_3D = /\.(obj|fbx|gltf|glb|usdz)$/i;
const MAX_PREVIEW_TEXT = 1024;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function summariseOutputs(outputs: Readonly<Record<string, UiOutput>>): OutputsSummary {
  let count = 0;
  let best: Record<string, unknown> | undefined;
  let fallback: Record<string, unknown> | undefined;
  for (const [nodeId, ui] of Object.entries(outputs)) {
    for (const [mediaType, items] of Object.entries(ui)) {
      if (mediaType === 'animated' || !Array.isArray(items)) continue;
      for (const item of items as readonly unknown[]) {
        const shown = describe(item, nodeId, mediaType);
        if (isRecord(item) || shown !== undefined) count += 1;
        if (shown === undefined) continue;
        if (shown.type === 'output') best ??= shown;
        else fallback ??= shown;
      }
    }
  }
  return { count, preview: best ?? fallback };
}

function describe(
  item: unknown,
  nodeId: string,
  mediaType: string,
): Record<string, unknown> | undefined {
  if (typeof item === 'string') {
    if (MODEL_3D.test(item)) {
      return { filename: item, type: 'output', subfolder: '', nodeId, mediaType: '3d' };
    }
    if (mediaType !== 'text') return undefined;
    const content = item.slice(0, MAX_PREVIEW_TEXT);
    const truncated = item.length > MAX_PREVIEW_TEXT ? { truncated: true } : {};
    return { content, ...truncated, nodeId, mediaType };
  }
  if (!isRecord(item)) return undefined;
  const { format, filename } = item;
  const previewable =
    MEDIA_KEYS.has(mediaType) ||
    (typeof format === 'string' && /^(video|audio)\//.test(format)) ||
    (typeof filename === 'string' && MODEL_3D.test(filename));
  return previewable ? { ...item, nodeId, mediaType } : undefined;
}
