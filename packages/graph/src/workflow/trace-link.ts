import type { JsonValue } from '@tiercel/contracts';
import type { LiveGraph } from './live-graph.ts';
import {
  isBypassed,
  isMuted,
  type LinkSource,
  type LiveInput,
  type LiveNode,
} from './live-nodes.ts';
import { INPUT_FRAME } from './saved-workflow.ts';
import { fits } from './slot-types.ts';

/** One place of a graph in the prompt: a subgraph has one for each of its instances. */
export interface Scope {
  readonly graph: LiveGraph;
  /** What stands before the ids of its nodes: `5:`, `5:101:`. */
  readonly prefix: string;
  /** The instance and where it stands; undefined for the graph of the file. */
  readonly host: { readonly node: LiveNode; readonly scope: Scope } | undefined;
  /** Whether an instance around it is muted or bypassed. */
  readonly isOff: boolean;
  /** Made on first use. */
  readonly children: Map<LiveNode, Scope>;
}

export function createRootScope(graph: LiveGraph): Scope {
  return { graph, prefix: '', host: undefined, isOff: false, children: new Map() };
}

/** What an input gets: a link to a node of the prompt, or a value of an instance on the way. */
export type Traced =
  { readonly link: readonly [nodeId: string, slot: number] } | { readonly value: JsonValue };

/** Why a link leads nowhere that a prompt could have. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
}

/** A file of a few kilobytes can hold chains within chains: all of one file's links together end here. */
const MAX_STEPS = 2_000_000;

/** Follows links through what is no node of the prompt: Reroutes, bypassed nodes, the frames of subgraphs. */
export class LinkTracer {
  readonly #graphOf: (instance: LiveNode) => LiveGraph | undefined;
  #steps = 0;

  constructor(graphOf: (instance: LiveNode) => LiveGraph | undefined) {
    this.#graphOf = graphOf;
  }

  /**
   * What leads to an input of a node.
   * @returns undefined when nothing does
   * @throws TraceError
   */
  trace(input: LiveInput, scope: Scope): Traced | undefined {
    let at: Place | Traced | undefined = { input, scope, type: input.type };
    while (at !== undefined && 'input' in at) {
      this.#count();
      at = this.#stepBack(at);
    }
    return at;
  }

  #count(): void {
    this.#steps += 1;
    if (this.#steps <= MAX_STEPS) return;
    throw new TraceError('Its link goes in a circle, or through too many nodes that pass it on');
  }

  /** From an input to the next input that passes on, or to the end. */
  #stepBack({ input, scope, type }: Place): Place | Traced | undefined {
    const { link } = input;
    if (link === undefined) return undefined;
    if (link.from === INPUT_FRAME) return leaveSubgraph(link.slot, scope);
    return this.#stepThrough(link, scope, type);
  }

  /** Through the node that the link comes from, into the subgraph if it is one. */
  #stepThrough(link: LinkSource, scope: Scope, type: string): Place | Traced | undefined {
    let [source, place] = [link, scope];
    for (;;) {
      const node = place.graph.byId.get(source.from);
      if (node === undefined) {
        throw new TraceError(`Its link comes from node ${source.from}, which does not exist`);
      }
      if (isMuted(node) || node.kind === 'primitive' || node.kind === 'note') return undefined;
      if (node.kind === 'reroute' || isBypassed(node)) {
        const input =
          node.kind === 'reroute' ? node.inputs[0] : chooseInput(node, source.slot, type);
        // A chain of bypassed nodes asks for the type of the last one's input.
        const asked = node.kind === 'reroute' || input === undefined ? type : input.type;
        return input && { input, scope: place, type: asked };
      }
      if (node.kind !== 'instance') return { link: [`${place.prefix}${node.id}`, source.slot] };
      this.#count();
      const inside = this.enter(node, place);
      const output = inside?.graph.ports?.outputs[source.slot];
      if (inside === undefined || output === undefined) return undefined;
      if (output.from === INPUT_FRAME) return leaveSubgraph(output.slot, inside);
      [source, place] = [output, inside];
    }
  }

  /** The graph inside an instance, in its place. */
  enter(node: LiveNode, scope: Scope): Scope | undefined {
    const known = scope.children.get(node);
    if (known !== undefined) return known;
    const graph = this.#graphOf(node);
    if (graph === undefined) return undefined;
    const prefix = `${scope.prefix}${node.id}:`;
    const isOff = scope.isOff || isMuted(node) || isBypassed(node);
    const child: Scope = { graph, prefix, host: { node, scope }, isOff, children: new Map() };
    scope.children.set(node, child);
    return child;
  }
}

/** An input that is asked for its source, and the type of the one who asks. */
interface Place {
  readonly input: LiveInput;
  readonly scope: Scope;
  readonly type: string;
}

/** To the input of the instance; one that is not linked has a value if it stands for a widget. */
function leaveSubgraph(slot: number, { host }: Scope): Place | Traced | undefined {
  const input = host?.node.inputs[slot];
  if (host === undefined || input === undefined) return undefined;
  if (input.link !== undefined) return { input, scope: host.scope, type: input.type };
  return input.hostValue === undefined ? undefined : { value: input.hostValue };
}

/**
 * The one input through which a bypassed node passes an output on. That nothing may be linked to it does not
 * make it another one.
 */
function chooseInput(node: LiveNode, slot: number, asked: string): LiveInput | undefined {
  const { inputs } = node;
  const same = inputs[slot];
  if (asked === '*') return same ?? inputs[0];
  const given = node.outputTypes[slot] ?? '*';
  const isFit = ({ type }: LiveInput) => fits(type, given) && fits(type, asked);
  if (same !== undefined && isFit(same)) return same;
  return inputs.find(({ type }) => type === asked) ?? inputs.find(isFit);
}
