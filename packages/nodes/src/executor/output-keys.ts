import { raceAbort } from '@tiercel/runtime';
import type { FingerprintContext, NodeDefinition, NodeInputs } from '../node-definition.ts';
import { computeCacheKeys } from './cache-keys.ts';
import type { ExecutionRequest, NodeFiles } from './execution-request.ts';
import { equipNodes } from './runnable-nodes.ts';

export type OutputKeysRequest = Pick<
  ExecutionRequest,
  'graph' | 'promptText' | 'outputs' | 'registry' | 'signal'
> & { readonly files: Pick<NodeFiles, 'fingerprint'> };

/**
 * The executor's cache key of every output node, by node id. Outputs with equal keys show the same, in any job and
 * under any id. Undefined when an output cannot be cached: it is not in the graph, or something that it needs is
 * missing, cannot be coerced, or counts as always changed (NaN fingerprint, an input file that is gone).
 *
 * Classes may be unknown to the registry (another backend runs them): such a node is keyed by its class, its values
 * as they came, and the content of every input file that one of them names. What an unknown class reads elsewhere,
 * or draws at random, is not seen.
 * @throws Error when the signal is aborted; its cause is the signal's reason
 */
export async function outputKeys(
  request: OutputKeysRequest,
): Promise<ReadonlyMap<string, string> | undefined> {
  const { graph, promptText, registry, files, signal } = request;
  const nodes = equipNodes(
    graph,
    registry,
    (_, classType) => registry.get(classType) ?? describeUnknown(classType),
  );
  const source = { promptText, fingerprintInput: (name: string) => files.fingerprint(name) };
  const all = await raceAbort(computeCacheKeys(nodes, source), signal);
  const keys = new Map<string, string>();
  for (const id of request.outputs) {
    const key = all.get(id);
    if (key === undefined) return undefined;
    keys.set(id, key);
  }
  return keys;
}

/** Just enough of a definition to make a key of. */
function describeUnknown(classType: string): NodeDefinition {
  return {
    class_type: classType,
    input: {},
    output: [],
    fingerprint: fingerprintNamedFiles,
    run: () => Promise.reject(new Error(`${classType} is not a class of this registry.`)),
  };
}

/** An unknown class may be a loader: a name must not stand for the content that it had last week. */
async function fingerprintNamedFiles(
  inputs: NodeInputs,
  context: FingerprintContext,
): Promise<unknown> {
  const found: [name: string, fingerprint: string][] = [];
  for (const [name, value] of Object.entries(inputs)) {
    if (typeof value !== 'string') continue;
    // Rejected: most texts are no file names.
    const fingerprint = await context.fingerprintInput(value).catch(() => undefined);
    if (fingerprint !== undefined) found.push([name, fingerprint]);
  }
  return found.length === 0 ? undefined : found.sort(([a], [b]) => (a < b ? -1 : 1));
}
