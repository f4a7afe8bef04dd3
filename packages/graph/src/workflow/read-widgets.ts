import { isJsonObject, type InputSpec, type JsonValue, type NodeInfo } from '@tiercel/contracts';
import { choicesOf } from '../combo-choices.ts';
import { firstMember, memberNames } from '../dynamic-inputs.ts';
import { getOwn } from '../graph-nodes.ts';
import { specOptions } from '../input-specs.ts';
import { pythonEquals } from '../python-text.ts';
import { createInput, type LiveInput, type Widget } from './live-nodes.ts';
import { type SavedInput, type SavedNode } from './saved-workflow.ts';
import { slotType } from './slot-types.ts';
import {
  controlNames,
  defaultValue,
  dynamicOptions,
  hasUploadButton,
  isForced,
  isMultiline,
  isSocketless,
  isWidget,
  numberOption,
  orderInputs,
  showAsText,
  widgetType,
  type OrderedInput,
} from './widget-kinds.ts';

/**
 * The inputs and widgets of a node of this class: sockets first, then the inputs that stand for widgets, each
 * list in the order of the class; what a choice of a dynamic combo brings follows it. The values are those of
 * the file, taken by position.
 */
export function readWidgets(
  info: NodeInfo,
  saved: SavedNode,
): { inputs: LiveInput[]; widgets: readonly Widget[] } {
  const inputs = orderInputs(info);
  const layout = new Layout(info, saved, dropForcedValues(inputs, saved.values ?? []));
  for (const input of inputs) layout.add(input, layout.sockets);
  layout.addEditorWidgets(inputs);
  return { inputs: layout.finish(), widgets: layout.widgets };
}

/**
 * Old files have a value for each input that has since become one for links only. They are left out when the
 * count says that they are there.
 */
function dropForcedValues(
  inputs: readonly OrderedInput[],
  values: readonly JsonValue[],
): readonly JsonValue[] {
  const isDropped = inputs.flatMap(({ name, spec }) => {
    if (isForced(spec)) return [true];
    return isWidget(spec) ? [false, ...controlNames(name, spec).map(() => false)] : [];
  });
  if (!isDropped.includes(true) || isDropped.length !== values.length) return values;
  return values.filter((_, index) => isDropped[index] !== true);
}

class Layout {
  readonly sockets: LiveInput[] = [];
  readonly widgets: Widget[] = [];
  readonly #widgetInputs: LiveInput[] = [];
  /** Names of dynamic combos: what the file has under one, and its choice does not bring, is gone. */
  readonly #combos: string[] = [];
  readonly #classType: string;
  readonly #savedInputs: readonly SavedInput[];
  readonly #values: readonly JsonValue[];
  #next = 0;

  constructor(info: NodeInfo, saved: SavedNode, values: readonly JsonValue[]) {
    this.#classType = info.name;
    this.#savedInputs = saved.inputs;
    this.#values = values;
  }

  /** @param sockets where it goes if it is no widget */
  add({ name, spec }: OrderedInput, sockets: LiveInput[]): void {
    const type = widgetType(spec);
    if (type === 'COMFY_AUTOGROW_V3') sockets.push(...this.#growInputs(name, spec));
    else if (isWidget(spec)) this.#addWidget(name, spec);
    else sockets.push(createInput(name, slotType(spec)));
  }

  #addWidget(name: string, spec: InputSpec): void {
    const widget = { name, spec, isSent: true, value: this.#readValue(name, spec) };
    this.widgets.push(widget);
    if (!isSocketless(spec)) this.#widgetInputs.push(createInput(name, slotType(spec), widget));
    if (widgetType(spec) === 'COMFY_DYNAMICCOMBO_V3') {
      this.#combos.push(`${name}.`);
      const chosen = dynamicOptions(spec).find(({ key }) =>
        pythonEquals(key ?? null, widget.value ?? null),
      );
      for (const child of chosen?.inputs ?? []) {
        this.add({ ...child, name: `${name}.${child.name}` }, this.#widgetInputs);
      }
    }
    for (const control of controlNames(name, spec)) this.#addControl(control);
  }

  #addControl(name: string): void {
    const value = this.#take() ?? null;
    const repaired = typeof value === 'boolean' ? (value ? 'randomize' : 'fixed') : value;
    this.widgets.push({ name, spec: undefined, isSent: false, value: repaired });
  }

  #readValue(name: string, spec: InputSpec): JsonValue | undefined {
    const type = widgetType(spec);
    // A view of two pictures; nothing of it is saved.
    if (type === 'IMAGECOMPARE') return ['', ''];
    const value = this.#next < this.#values.length ? this.#take() : defaultValue(spec);
    if (value === null && (type === 'COMBO' || type === 'COMFY_DYNAMICCOMBO_V3')) {
      return firstChoice(spec) ?? null;
    }
    if (typeof value === 'string' && name === 'sampler_name' && this.#isSampler()) {
      return value.replace(/^sample_/, '');
    }
    // The text area of a browser makes text of what it is given.
    return value !== undefined && isMultiline(spec) ? showAsText(value) : value;
  }

  #isSampler(): boolean {
    return this.#classType === 'KSampler' || this.#classType === 'KSamplerAdvanced';
  }

  #take(): JsonValue | undefined {
    const value = this.#values[this.#next];
    this.#next += 1;
    return value;
  }

  /** As many as the file has, whatever is linked; without any, those that a new node shows. */
  #growInputs(name: string, spec: InputSpec): readonly LiveInput[] {
    const template = getOwn(specOptions(spec), 'template');
    if (!isJsonObject(template)) return [];
    const member = firstMember(getOwn(template, 'input'));
    const type = member === undefined ? '*' : slotType(member.spec);
    const names = memberNames(template).map((part) => `${name}.${part}`);
    const known = new Set(names);
    const saved = this.#savedInputs.filter((input) => known.has(input.name));
    const shown =
      saved.length > 0
        ? saved.map((input) => input.name)
        : names.slice(0, Math.max(numberOption(template, 'min') ?? 0, 1));
    return [...new Set(shown)].map((full) => createInput(full, type));
  }

  /** Those that the editor gives to some classes, beyond what they declare. */
  addEditorWidgets(inputs: readonly OrderedInput[]): void {
    if (this.#classType === 'CustomCombo') this.#addChoices();
    if (inputs.some(({ spec }) => hasUploadButton(spec))) this.#addControl('upload');
    if (this.#classType === 'SaveGLB' || this.#classType === 'Preview3D') {
      this.widgets.push({ name: 'image', spec: undefined, isSent: true, value: '' });
    }
  }

  /** The choices that a person has typed, of which the last is always empty, and the place of the chosen one. */
  #addChoices(): void {
    this.#take();
    const choices = this.#values.slice(this.#next);
    while (choices.at(-1) === '') choices.pop();
    choices.push('');
    const chosen = this.widgets.find(({ name }) => name === 'choice')?.value;
    const add = (name: string, value: JsonValue) => {
      this.widgets.push({ name, spec: undefined, isSent: true, value });
    };
    add(
      'index',
      choices.findIndex((choice) => choice === chosen),
    );
    for (const [index, choice] of choices.entries()) add(`option${index + 1}`, choice);
  }

  /** Inputs of the file that the class lacks go to the end, if they are sockets. */
  finish(): LiveInput[] {
    const inputs = [...this.sockets, ...this.#widgetInputs];
    const known = new Set(inputs.map(({ name }) => name));
    for (const { name, type, isWidget: isForWidget } of this.#savedInputs) {
      if (isForWidget || known.has(name)) continue;
      if (this.#combos.some((prefix) => name.startsWith(prefix))) continue;
      known.add(name);
      inputs.push(createInput(name, type));
    }
    return inputs;
  }
}

function firstChoice(spec: InputSpec): JsonValue | undefined {
  return choicesOf(spec)?.[0] ?? dynamicOptions(spec)[0]?.key;
}
