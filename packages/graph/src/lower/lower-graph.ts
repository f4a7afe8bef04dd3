import type { GraphNode, GraphNodes } from '../graph-nodes.ts';
import { sortBySources, walkGraph } from '../walk-graph.ts';
import { isModelSide, type GraphValue, type Origin, type Unknown } from './graph-value.ts';
import { conditioningHandlers } from './lower-conditioning.ts';
import { applyIpAdapter, isIpAdapter, modelHandlers } from './lower-models.ts';
import { pixelHandlers, showLeftover } from './lower-pixels.ts';
import { createSamplerHandlers, type SamplerLedger } from './lower-samplers.ts';
import { samplingPartHandlers } from './lower-sampling-parts.ts';
import { valueHandlers, type Handler } from './lower-values.ts';
import type { Lowering } from './lowering.ts';
import { NodeReader, type ReaderContext } from './node-reader.ts';
import { ObstacleList } from './obstacle-list.ts';
import { planStages } from './sampling-plan.ts';
import { TextBudget } from './prompt-texts.ts';

/** These make no pixels and take none: they only describe. */
const describers: ReadonlyMap<string, Handler> = new Map([
  ...modelHandlers,
  ...conditioningHandlers,
  ...samplingPartHandlers,
]);
/** They describe when what they hand on does. */
const PASSING: ReadonlySet<string> = new Set(['Reroute', 'ComfySwitchNode']);
const otherHandlers: ReadonlyMap<string, Handler> = new Map([...valueHandlers, ...pixelHandlers]);

/**
 * What a graph asks image services for: every node that the outputs need is interpreted once, sources
 * first, with what can be told without running it. Takes any graph, also one that validation would
 * refuse, in time that grows with its size; never throws.
 */
export function lowerGraph(graph: GraphNodes, outputIds: readonly string[]): Lowering {
  const nodes = orderNodes(graph, outputIds);
  const obstacles = new ObstacleList();
  const ledger: SamplerLedger = { drafts: new Map(), idle: new Map() };
  const { describing, ignored } = interpret(nodes, obstacles, ledger);
  const reached = findReached(nodes, outputIds, ignored);
  const drafts = [...ledger.drafts.values()].filter(({ nodeId }) => reached.has(nodeId));
  const plan = planStages(drafts, obstacles);
  const passThrough = new Map([...ledger.idle, ...plan.merged]);
  const latentInputs = new Map([
    ...passThrough,
    ...plan.stages.map(({ nodeId, latentInput }) => [nodeId, latentInput] as const),
  ]);
  const needed = findNeeded(nodes, outputIds, { describing, latentInputs, ignored });
  const isNeeded = (nodeId: string) => needed.has(nodeId);
  return {
    stages: plan.stages.filter(({ nodeId }) => isNeeded(nodeId)),
    descriptive: new Set([...nodes.keys()].filter((nodeId) => !isNeeded(nodeId))),
    passThrough: new Map([...passThrough].filter(([nodeId]) => isNeeded(nodeId))),
    obstacles: obstacles.list().filter(({ nodeId }) => reached.has(nodeId)),
  };
}

/** The nodes that the outputs need, sources before their consumers. */
function orderNodes(graph: GraphNodes, outputIds: readonly string[]): GraphNodes {
  const ordered = new Map<string, GraphNode>();
  const sourcesOf = (id: string) => graph.get(id)?.sources ?? [];
  for (const id of sortBySources(outputIds, sourcesOf)) {
    const node = graph.get(id);
    if (node !== undefined) ordered.set(id, node);
  }
  return ordered;
}

/** Node id -> the input that its run does not look at (the branch that a switch leaves out). */
type IgnoredInputs = ReadonlyMap<string, string>;

/** Runs every node's handler; what they find goes into the obstacles and the ledger. */
function interpret(
  nodes: GraphNodes,
  obstacles: ObstacleList,
  ledger: SamplerLedger,
): { readonly describing: ReadonlySet<string>; readonly ignored: IgnoredInputs } {
  const results = new Map<string, readonly GraphValue[] | Unknown>();
  const describing = new Set<string>();
  const ignored = new Map<string, string>();
  const samplers = new Map(createSamplerHandlers(ledger));
  const context: ReaderContext = {
    resolve(from, slot) {
      const result = results.get(from);
      if (result === undefined || 'kind' in result) return result;
      return result[slot];
    },
    obstacles,
    texts: new TextBudget(),
    ignore: (nodeId, input) => ignored.set(nodeId, input),
  };
  for (const node of nodes.values()) {
    const { nodeId, classType } = node;
    const reader = new NodeReader(node, context);
    noteCleanPictures(node, ledger);
    const describe =
      describers.get(classType) ?? (isIpAdapter(classType) ? applyIpAdapter : undefined);
    const handle = describe ?? samplers.get(classType) ?? otherHandlers.get(classType);
    const result = handle ? handle(reader) : lookPast(reader, obstacles);
    if (handle) for (const source of reader.foreignModels()) obstacles.addCustom(source);
    results.set(nodeId, result);
    const carriesModel = !('kind' in result) && result[0] !== undefined && isModelSide(result[0]);
    if (describe || (PASSING.has(classType) && carriesModel)) describing.add(nodeId);
  }
  return { describing, ignored };
}

/** A sampler's second output is its picture without leftover noise: it has to be made. */
function noteCleanPictures(node: GraphNode, ledger: SamplerLedger): void {
  for (const { from, slot } of node.links) {
    const draft = slot === 1 ? ledger.drafts.get(from) : undefined;
    if (draft) draft.isPictured = true;
  }
}

/** A class that is not looked into: fine as long as it asks for nothing that only a model has. */
function lookPast(node: NodeReader, obstacles: ObstacleList): Unknown {
  let origin: Origin = 'image';
  for (const value of node.linked()) {
    showLeftover(value);
    if (isModelSide(value)) obstacles.addCustom(node);
    if ('origin' in value && value.origin === 'stage') origin = 'stage';
  }
  const { nodeId, classType } = node;
  return { kind: 'unknown', nodeId, classType, origin };
}

/** What is behind the branches that switches take. */
function findReached(
  nodes: GraphNodes,
  outputIds: readonly string[],
  ignored: IgnoredInputs,
): ReadonlySet<string> {
  return walkGraph(outputIds, {
    sourcesOf(nodeId) {
      const node = nodes.get(nodeId);
      const left = ignored.get(nodeId);
      if (node === undefined || left === undefined) return node?.sources ?? [];
      return node.links.filter(({ input }) => input !== left).map(({ from }) => from);
    },
  });
}

/** The nodes that pixels, or whatever else the outputs show, come through. */
function findNeeded(
  nodes: GraphNodes,
  outputIds: readonly string[],
  known: {
    readonly describing: ReadonlySet<string>;
    readonly latentInputs: ReadonlyMap<string, string>;
    readonly ignored: IgnoredInputs;
  },
): ReadonlySet<string> {
  const isRun = (nodeId: string) => !known.describing.has(nodeId);
  return walkGraph(outputIds.filter(isRun), {
    sourcesOf(nodeId) {
      // Of a sampler's inputs only the latent reaches the run: the request has told all else.
      const latentInput = known.latentInputs.get(nodeId);
      const ignored = known.ignored.get(nodeId);
      const sources: string[] = [];
      for (const { input, from } of nodes.get(nodeId)?.links ?? []) {
        const isRead = latentInput === undefined || input === latentInput;
        if (isRead && input !== ignored && isRun(from)) sources.push(from);
      }
      return sources;
    },
  });
}
