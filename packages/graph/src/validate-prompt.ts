import type { Era, JsonValue, NodeErrors, ObjectInfo, PromptRejection } from '@tiercel/contracts';
import { GraphCheck, type FileCheck } from './check-graph.ts';
import { missingFile, reject } from './prompt-errors.ts';
import { readGraph, type NodeState } from './read-graph.ts';
import { walkGraph } from './walk-graph.ts';

/** What a prompt is validated against. */
export interface ValidationContext {
  readonly objectInfo: ObjectInfo;
  /** Whose words are spoken where versions differ; `newest` when left out. */
  readonly era?: Era;
  /** `partial_execution_targets` of the request: only these outputs run; undefined = all of them. */
  readonly targets?: readonly string[];
  /**
   * Whether the file of an input exists.
   * @param annotatedName may say where it lies (`a.png [temp]`)
   * @param listed the files that the catalogue lists for the input; undefined when it lists none
   */
  fileExists(annotatedName: string, listed: readonly JsonValue[] | undefined): Promise<boolean>;
}

export type ValidationResult =
  | {
      readonly ok: true;
      /** The output nodes that will run, in the order of the prompt's keys. */
      readonly outputs: readonly string[];
      /** Why the other outputs will not run. */
      readonly nodeErrors: Readonly<Record<string, NodeErrors>>;
    }
  | { readonly ok: false; readonly rejection: PromptRejection };

/** File checks under way at once. */
const MAX_FILE_CHECKS = 32;

/** Steps spent on finding dependent outputs: nodes times outputs can be far more than both. */
const MAX_DEPENDENT_STEPS = 1_000_000;

/** Nodes (and outputs) whose errors one answer shows; more help nobody and could fill the memory. */
const MAX_NODES_SHOWN = 1_000;

/**
 * Decides whether a prompt can run, and says what is wrong with it in ComfyUI's words (wire 6). Differences: a cycle is named (0.24's `dependency_cycle`) where 0.3.64 says nothing; what ComfyUI
 * answers with 500 is a rejection; `dependent_outputs` names only outputs that do depend on the node;
 * tracebacks are one line of ours; a missing upload input is `required_input_missing`.
 *
 * Linear in the prompt, without recursion. Rejects only if `fileExists` does.
 */
export async function validatePrompt(
  prompt: JsonValue,
  context: ValidationContext,
): Promise<ValidationResult> {
  const graph = readGraph(prompt, context.objectInfo, context.era ?? 'newest');
  if (!graph.ok) return graph;

  const targets = context.targets === undefined ? undefined : new Set(context.targets);
  const outputs: NodeState[] = [];
  for (const state of graph.states.values()) {
    if (state.compiled.isOutput && (targets?.has(state.id) ?? true)) outputs.push(state);
  }
  if (outputs.length === 0) {
    return { ok: false, rejection: reject('prompt_no_outputs', 'Prompt has no outputs', '') };
  }

  const check = new GraphCheck(graph.states);
  check.run(outputs);
  if (check.fileChecks.length > 0) await checkFiles(check.fileChecks, context);
  // Sources come first in the order, so their fate is known when a consumer's is asked.
  for (const state of check.order) {
    state.failed = state.errors.length > 0 || state.sources.some((source) => source.failed);
  }

  const good = outputs.filter((output) => !output.failed).map((output) => output.id);
  if (good.length === outputs.length) return { ok: true, outputs: good, nodeErrors: {} };
  const failedOutputs = outputs.filter((output) => output.failed);
  const nodeErrors = collectErrors(check.order, failedOutputs);
  if (good.length > 0) return { ok: true, outputs: good, nodeErrors };

  const details = failedOutputs
    .slice(0, MAX_NODES_SHOWN)
    .flatMap((output) => output.errors.map((error) => `${error.message}: ${error.details}`));
  const rejection = reject(
    'prompt_outputs_failed_validation',
    'Prompt outputs failed validation',
    details.join('\n'),
  );
  return { ok: false, rejection: { ...rejection, node_errors: nodeErrors } };
}

/** Asks once for each name of a kind, some at a time, and records what is missing. */
async function checkFiles(checks: readonly FileCheck[], context: ValidationContext): Promise<void> {
  const files = [...new Map(checks.map((check) => [keyOf(check), check])).entries()];
  const missing = new Set<string>();
  for (let at = 0; at < files.length; at += MAX_FILE_CHECKS) {
    const batch = files.slice(at, at + MAX_FILE_CHECKS);
    const found = await Promise.all(
      batch.map(([, { name, input }]) => context.fileExists(name, input.file?.listed)),
    );
    for (const [index, [key]] of batch.entries()) if (found[index] !== true) missing.add(key);
  }
  for (const check of checks) {
    const { state, input, name } = check;
    if (missing.has(keyOf(check)) && !state.raised) state.errors.push(missingFile(input, name));
  }
}

function keyOf({ input, name }: FileCheck): string {
  return `${input.file?.kind ?? ''} ${name}`;
}

/** `node_errors`: the nodes that have reasons of their own, each with the outputs it spoils. */
function collectErrors(
  order: readonly NodeState[],
  failedOutputs: readonly NodeState[],
): Readonly<Record<string, NodeErrors>> {
  const dependents = findDependents(failedOutputs);
  const entries = order
    .filter((state) => state.errors.length > 0)
    .slice(0, MAX_NODES_SHOWN)
    .map((state): [string, NodeErrors] => [
      state.id,
      {
        errors: state.errors,
        dependent_outputs: dependents.get(state) ?? [],
        class_type: state.classType,
      },
    ]);
  // fromEntries defines members, so that a node may be called "__proto__".
  return Object.fromEntries(entries);
}

function findDependents(failedOutputs: readonly NodeState[]): Map<NodeState, string[]> {
  const dependents = new Map<NodeState, string[]>();
  let stepsLeft = MAX_DEPENDENT_STEPS;
  for (const output of failedOutputs) {
    walkGraph([output], {
      sourcesOf(state) {
        if (stepsLeft <= 0) return [];
        stepsLeft -= 1 + state.sources.length;
        if (state.errors.length > 0) {
          const known = dependents.get(state);
          if (known === undefined) dependents.set(state, [output.id]);
          else known.push(output.id);
        }
        return state.sources.filter((source) => source.failed);
      },
    });
  }
  return dependents;
}
