import type {
  JsonObject,
  JsonValue,
  ObjectInfo,
  PromptGraph,
  PromptNode,
  PromptRejection,
} from '@tiercel/contracts';
import { isList } from '../python-text.ts';
import { applyPrimitives } from './apply-primitives.ts';
import { ConversionProblems, type ProblemPlace } from './conversion-problems.ts';
import { drawPrompt } from './dynamic-prompt.ts';
import { isBypassed, isMuted, type LiveNode, type Widget } from './live-nodes.ts';
import { loadWorkflow, type LoadedWorkflow } from './load-workflow.ts';
import { SAVE_CLASSES, TextReplacer, titleOf } from './replace-text.ts';
import { createRootScope, LinkTracer, TraceError, type Scope } from './trace-link.ts';
import { isMadeByBrowser, isTrue, widgetType } from './widget-kinds.ts';
import { specOptions } from '../input-specs.ts';

export interface ConversionOptions {
  readonly objectInfo: ObjectInfo;
  /** Most nodes of the prompt: a small file can hold subgraphs within subgraphs. */
  readonly maxNodes: number;
  /** For `%date:...%` in file names, in the time zone of the process. */
  readonly now: Date;
  /** Draws of `{a|b}` in texts, from 0 to below 1. */
  readonly random: () => number;
}

export type Conversion =
  | { readonly ok: true; readonly prompt: PromptGraph }
  | { readonly ok: false; readonly rejection: PromptRejection };

/**
 * Makes of what ComfyUI's editor saves the prompt that its "Export (API)" makes of it, with this catalogue.
 * Where the editor has a defect, the prompt is what its user sees (docs/compatibility.md lists them).
 * @param workflow the file: nodes, links, widgets_values, definitions of subgraphs
 */
export function convertWorkflow(workflow: JsonObject, options: ConversionOptions): Conversion {
  const loaded = loadWorkflow(workflow, options.objectInfo);
  const writer = new PromptWriter(loaded, options);
  const problems = writer.write();
  const rejection = problems.reject();
  return rejection === undefined
    ? { ok: true, prompt: Object.fromEntries(writer.nodes) }
    : { ok: false, rejection };
}

/** Subgraphs within subgraphs; people have three or four. */
const MAX_DEPTH = 100;

class PromptWriter {
  readonly nodes = new Map<string, PromptNode>();
  readonly #loaded: LoadedWorkflow;
  readonly #options: ConversionOptions;
  readonly #tracer: LinkTracer;
  readonly #problems: ConversionProblems;
  readonly #replacer: TextReplacer;

  constructor(loaded: LoadedWorkflow, options: ConversionOptions) {
    this.#loaded = loaded;
    this.#options = options;
    this.#tracer = new LinkTracer((node) => loaded.graphOf(node));
    this.#problems = new ConversionProblems(options.maxNodes);
    const nodes = loaded.graphs.flatMap((graph) => graph.nodes);
    this.#replacer = new TextReplacer(nodes, options.now);
  }

  write(): ConversionProblems {
    for (const graph of this.#loaded.graphs) {
      applyPrimitives(graph, (text) => this.#replacer.replace(text));
    }
    // Scopes in the order of the prompt; what stands inside an instance follows the graph around it.
    const scopes = [createRootScope(this.#loaded.root)];
    for (const scope of scopes) {
      for (const node of scope.graph.nodes) {
        if (this.#problems.isFull) return this.#problems;
        const inside = this.#writeNode(node, scope);
        if (inside !== undefined) scopes.push(inside);
      }
    }
    return this.#problems;
  }

  /** @returns the place inside an instance, whose nodes are still to be written */
  #writeNode(node: LiveNode, scope: Scope): Scope | undefined {
    const isOff = isMuted(node) || isBypassed(node);
    // Of an instance inside another one the export keeps the nodes, to which nothing leads any more.
    const isKept = isOff && node.kind === 'instance' && scope.host !== undefined;
    if (isOff && !isKept) return undefined;
    const place = { id: `${scope.prefix}${node.id}`, classType: node.saved.type };
    if (scope.isOff && !isHarmless(node)) return undefined;
    switch (node.kind) {
      case 'reroute':
      case 'primitive':
      case 'note':
        return undefined;
      case 'unknown':
        this.#problems.addMissingType(place, titleOf(node));
        return undefined;
      case 'instance':
        return this.#enter(node, scope, place);
      case 'class':
        this.nodes.set(place.id, {
          inputs: this.#writeInputs(node, scope, place),
          class_type: place.classType,
          _meta: writeMeta(node),
        });
        this.#problems.countNode(place);
        return undefined;
    }
  }

  #enter(node: LiveNode, scope: Scope, place: ProblemPlace): Scope | undefined {
    let depth = 1;
    for (let outer = scope.host; outer !== undefined; outer = outer.scope.host) {
      depth += 1;
      const isCircle = outer.node.saved.type === node.saved.type;
      if (!isCircle && depth <= MAX_DEPTH) continue;
      const message = isCircle
        ? 'A subgraph contains itself'
        : `More than ${MAX_DEPTH} subgraphs stand within each other`;
      this.#problems.add(place, 'invalid_workflow', { message, details: '' });
      return undefined;
    }
    this.#problems.countNode(place);
    return this.#tracer.enter(node, scope);
  }

  #writeInputs(node: LiveNode, scope: Scope, place: ProblemPlace): JsonObject {
    const inputs = new Map<string, JsonValue>();
    for (const widget of node.widgets) {
      const value = this.#writeWidget(widget, node);
      if (value !== undefined) inputs.set(widget.name, value);
    }
    for (const input of node.inputs) {
      try {
        const traced = this.#tracer.trace(input, scope);
        if (traced === undefined) continue;
        inputs.set(input.name, 'link' in traced ? [...traced.link] : wrap(traced.value, undefined));
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
        this.#problems.add(place, 'bad_linked_input', {
          message: error.message,
          details: input.name,
          inputName: input.name,
        });
      }
    }
    if (!scope.isOff) this.#checkBrowserValues(node, inputs, place);
    return Object.fromEntries(inputs);
  }

  #writeWidget(widget: Widget, node: LiveNode): JsonValue | undefined {
    const { spec, value, isSent } = widget;
    if (!isSent || value === undefined) return undefined;
    if (typeof value !== 'string' || spec === undefined)
      return wrap(value, spec && widgetType(spec));
    if (isTrue(specOptions(spec).dynamicPrompts)) return drawPrompt(value, this.#options.random);
    const isPrefix = widget.name === 'filename_prefix' && SAVE_CLASSES.has(node.saved.type);
    return isPrefix ? this.#replacer.replace(value) : value;
  }

  /** A picture of a 3D scene, a photograph, a recording: what the file holds in their place runs nowhere. */
  #checkBrowserValues(
    node: LiveNode,
    inputs: ReadonlyMap<string, JsonValue>,
    place: ProblemPlace,
  ): void {
    for (const { name, spec } of node.widgets) {
      if (spec === undefined || !isMadeByBrowser(spec)) continue;
      const value = inputs.get(name);
      if (isList(value) || isFilled(value)) continue;
      this.#problems.add(place, 'value_not_in_workflow', {
        message:
          'The value of an input is made by the editor in the browser, and is not in the file',
        details: name,
        inputName: name,
      });
    }
  }
}

/** Whether it may stand in the prompt though it is switched off: nothing that would run, or be missed. */
function isHarmless({ kind, info }: LiveNode): boolean {
  return kind !== 'unknown' && info?.output_node !== true;
}

function isFilled(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || value === '') return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

/** Lists are wrapped so that none is taken for a link. */
function wrap(value: JsonValue, type: JsonValue | undefined): JsonValue {
  if (type === 'CURVE') return { __type__: 'CURVE', __value__: value };
  return isList(value) ? { __value__: value } : value;
}

/** Where a pack of nodes is registered, as the packs' registry spells it. */
const PACK_ID = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const PACK_SOURCE = /^[\w.-]+\/[\w.-]+$/;

function writeMeta(node: LiveNode): JsonObject {
  const { cnr_id: packId, aux_id: packSource, ver } = node.saved.properties;
  const isText = (value: JsonValue | undefined, form: RegExp) =>
    typeof value === 'string' && form.test(value);
  return {
    title: titleOf(node),
    ...(isText(packId, PACK_ID) ? { cnr_id: packId } : {}),
    ...(isText(packSource, PACK_SOURCE) ? { aux_id: packSource } : {}),
    ...(isText(ver, PACK_ID) ? { ver } : {}),
  };
}
