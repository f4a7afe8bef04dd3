import type { InputSpec, JsonObject, JsonValue } from '@tiercel/contracts';
import { specOptions } from '../input-specs.ts';
import type { LiveGraph, PortTarget } from './live-graph.ts';
import type { LiveNode, Widget } from './live-nodes.ts';
import { isMultiline, numberOption, showAsText, widgetType } from './widget-kinds.ts';

/**
 * Writes the value of each PrimitiveNode into the widgets that it is linked to, whatever its mode, as the
 * editor does before it makes a prompt. Only direct targets: behind a Reroute it gives nothing.
 * @param replaceText for those that have "Run widget replace on values" set
 */
export function applyPrimitives(graph: LiveGraph, replaceText: (text: string) => string): void {
  const targets = listTargets(graph);
  for (const node of graph.nodes) {
    const value = node.kind === 'primitive' ? node.saved.values?.[0] : undefined;
    if (value === undefined) continue;
    const isReplaced = node.saved.properties['Run widget replace on values'] === true;
    const given = isReplaced && typeof value === 'string' ? replaceText(value) : value;
    writeValue(given, targets.get(node) ?? []);
  }
}

/** What each PrimitiveNode is linked to. */
export function listTargets(graph: LiveGraph): ReadonlyMap<LiveNode, readonly PortTarget[]> {
  const targets = new Map<LiveNode, PortTarget[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      const from = input.link && graph.byId.get(input.link.from);
      if (from?.kind !== 'primitive') continue;
      const known = targets.get(from);
      if (known === undefined) targets.set(from, [{ node, input }]);
      else known.push({ node, input });
    }
  }
  return targets;
}

function writeValue(value: JsonValue, targets: readonly PortTarget[]): void {
  const widgets = targets.map(({ input }) => input.widget).filter((widget) => widget !== undefined);
  const common = mergeLimits(widgets);
  const shared = common === undefined ? value : clamp(roundNumber(value, common), common);
  for (const widget of widgets) {
    widget.value = widget.spec === undefined ? shared : fitValue(shared, widget.spec);
  }
  // An input of a subgraph is no widget of a node; the editor forgets the value on its way in.
  for (const { node, input } of targets) {
    if (node.kind !== 'instance' || !input.isPromoted) continue;
    input.link = undefined;
    input.hostValue = value;
  }
}

/** What a widget makes of a value that it is set to. */
function fitValue(value: JsonValue, spec: InputSpec): JsonValue {
  const type = widgetType(spec);
  const limits = readLimits(spec);
  if (type === 'INT') return roundNumber(value, limits);
  if (type === 'FLOAT') return clamp(roundFloat(value, limits), limits);
  return isMultiline(spec) ? showAsText(value) : value;
}

interface Limits {
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly step: number | undefined;
  readonly round: number | undefined;
}

function readLimits(spec: InputSpec): Limits {
  const options = specOptions(spec);
  return {
    min: numberOption(options, 'min'),
    max: numberOption(options, 'max'),
    step: numberOption(options, 'step'),
    round: numberOption(options, 'round'),
  };
}

/**
 * The limits that numeric widgets of one type have in common: the highest minimum, the lowest maximum, the
 * smallest step that all their steps divide. Undefined when they differ in more, or there is only one.
 */
function mergeLimits(widgets: readonly Widget[]): Limits | undefined {
  const specs = widgets.map(({ spec }) => spec).filter((spec) => spec !== undefined);
  const [first] = specs;
  if (first === undefined || specs.length < 2) return undefined;
  const type = widgetType(first);
  if (type !== 'INT' && type !== 'FLOAT') return undefined;
  if (!specs.every((spec) => isAlike(spec, first))) return undefined;
  const limits = specs.map(readLimits);
  return {
    min: extreme(limits, 'min', Math.max),
    max: extreme(limits, 'max', Math.min),
    step: limits.map(({ step }) => step ?? 1).reduce(commonMultiple),
    round: limits[0]?.round,
  };
}

/** Options in which the targets of one PrimitiveNode may differ. */
const MAY_DIFFER = new Set([
  'default',
  'tooltip',
  'display_name',
  'advanced',
  'control_after_generate',
  'min',
  'max',
  'step',
]);

function isAlike(one: InputSpec, other: InputSpec): boolean {
  if (widgetType(one) !== widgetType(other)) return false;
  const rest = (options: JsonObject) =>
    JSON.stringify(
      Object.entries(options)
        .filter(([name]) => !MAY_DIFFER.has(name))
        .sort(),
    );
  return rest(specOptions(one)) === rest(specOptions(other));
}

function extreme(
  limits: readonly Limits[],
  side: 'min' | 'max',
  choose: (...values: number[]) => number,
): number | undefined {
  const values = limits.map((limit) => limit[side]).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : choose(...values);
}

/** Of two steps, which may be fractions with up to nine digits. */
function commonMultiple(a: number, b: number): number {
  const scale = Number.isInteger(a) && Number.isInteger(b) ? 1 : 1e9;
  const [one, other] = [Math.round(Math.abs(a) * scale), Math.round(Math.abs(b) * scale)];
  let [x, y] = [one, other];
  while (y > 0) [x, y] = [y, x % y];
  return x === 0 ? 1 : ((one / x) * other) / scale;
}

/** To the nearest step, counted from where the minimum lies between two. */
function roundNumber(value: JsonValue, { min, step }: Limits): JsonValue {
  if (typeof value !== 'number') return value;
  const width = step === undefined || step === 0 ? 1 : step;
  const shift = (min ?? 0) % width || 0;
  return Math.round((value - shift) / width) * width + shift;
}

/** To `round`, by default the digits of `step`, and then to those digits. */
function roundFloat(value: JsonValue, { step, round }: Limits): JsonValue {
  if (typeof value !== 'number') return value;
  const digits = Math.max(0, -Math.floor(Math.log10(step === undefined || step <= 0 ? 0.1 : step)));
  const unit = round === undefined || round === 0 ? 10 ** -digits : round;
  const rounded = Math.round((value + Number.EPSILON) / unit) * unit;
  return Number(rounded.toFixed(Math.min(digits, 100)));
}

function clamp(value: JsonValue, { min, max }: Limits): JsonValue {
  if (typeof value !== 'number') return value;
  return Math.min(Math.max(value, min ?? -Infinity), max ?? Infinity);
}
