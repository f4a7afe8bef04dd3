import { stringifyJson, type JsonValue } from '@tiercel/contracts';
import type { LiveNode } from './live-nodes.ts';

/** Classes whose `filename_prefix` the editor fills in before it sends it: those that save under that name. */
export const SAVE_CLASSES: ReadonlySet<string> = new Set([
  'CLIPSave',
  'CheckpointSave',
  'ImageOnlyCheckpointSave',
  'LoraSave',
  'ModelSave',
  'Save3DAdvanced',
  'SaveAnimatedPNG',
  'SaveAnimatedWEBP',
  'SaveAudio',
  'SaveAudioAdvanced',
  'SaveAudioMP3',
  'SaveAudioOpus',
  'SaveGLB',
  'SaveGaussianSplat',
  'SaveImage',
  'SaveImageAdvanced',
  'SaveLatent',
  'SavePointCloud',
  'SaveSVGNode',
  'SaveText',
  'SaveVideo',
  'SaveWEBM',
  'VAESave',
]);

/** What no file name may have. */
// eslint-disable-next-line no-control-regex -- these are what is meant
const FORBIDDEN = /[/?<>\\:*|"\u0000-\u001f\u007f]/g;

/**
 * Fills in `%date:PATTERN%` and `%NODE.WIDGET%`, NODE being a node's "Node name for S&R" or its title, the first
 * of that name. What it does not know stays, for the server to fill in (`%width%`, `%year%`).
 */
export class TextReplacer {
  readonly #nodes: readonly LiveNode[];
  readonly #now: Date;
  #byName: ReadonlyMap<string, LiveNode> | undefined;

  /** @param now in the time zone of the process */
  constructor(nodes: readonly LiveNode[], now: Date) {
    this.#nodes = nodes;
    this.#now = now;
  }

  replace(text: string): string {
    return text.replace(/%([^%]+)%/g, (whole, inside: string) => {
      const [first = '', second, ...rest] = inside.split('.');
      if (second === undefined || rest.length > 0) {
        return first.startsWith('date:')
          ? formatDate(first.slice('date:'.length), this.#now)
          : whole;
      }
      this.#byName ??= nameNodes(this.#nodes);
      const node = this.#byName.get(first);
      const value = node && findValue(node, second);
      return value === undefined ? whole : showValue(value).replace(FORBIDDEN, '_');
    });
  }
}

/** Every node has its type for a name to search by if the file says nothing; titles come after these. */
function nameNodes(nodes: readonly LiveNode[]): ReadonlyMap<string, LiveNode> {
  const byName = new Map<string, LiveNode>();
  const add = (name: JsonValue, node: LiveNode) => {
    if (typeof name === 'string' && !byName.has(name)) byName.set(name, node);
  };
  for (const node of nodes)
    add(node.saved.properties['Node name for S&R'] ?? node.saved.type, node);
  for (const node of nodes) add(titleOf(node), node);
  return byName;
}

/** What its user calls a node, else what its class is called. */
export function titleOf({ saved, info }: LiveNode): string {
  return saved.title ?? info?.display_name ?? saved.type;
}

function findValue(node: LiveNode, name: string): JsonValue | undefined {
  const widget = node.widgets.find((own) => own.name === name);
  if (widget !== undefined) return widget.value ?? null;
  return node.inputs.find((input) => input.name === name && input.isPromoted)?.hostValue;
}

function showValue(value: JsonValue): string {
  if (value === null) return '';
  return typeof value === 'object' ? stringifyJson(value) : String(value);
}

/** `d dd M MM h hh m mm s ss yy yyyy`; all else stays. */
function formatDate(pattern: string, now: Date): string {
  const parts: Readonly<Record<string, number>> = {
    d: now.getDate(),
    M: now.getMonth() + 1,
    h: now.getHours(),
    m: now.getMinutes(),
    s: now.getSeconds(),
  };
  return pattern.replace(/yyyy|yy|dd?|MM?|hh?|mm?|ss?/g, (token) => {
    const year = String(now.getFullYear());
    if (token === 'yyyy') return year;
    if (token === 'yy') return year.slice(2);
    return String(parts[token.charAt(0)] ?? '').padStart(token.length, '0');
  });
}
