import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type NodeErrors,
  type PromptGraph,
  type PromptRejection,
} from '@tiercel/contracts';
import { NodeValidator, type DraftNode, type ValidationWorld } from './validate-node.ts';

export type PromptVerdict =
  | {
      readonly ok: true;
      /** With converted inputs. */
      readonly graph: PromptGraph;
      readonly outputs: readonly string[];
      /** Of outputs that were dropped. */
      readonly nodeErrors: Readonly<Record<string, NodeErrors>>;
    }
  | { readonly ok: false; readonly rejection: PromptRejection };

/** The answer to a prompt that cannot be queued. */
export function reject(type: string, message: string, details = ''): PromptRejection {
  return { error: { type, message, details, extra_info: {} }, node_errors: {} };
}

/** ComfyUI 0.3.64's `validate_prompt` for what the fake's classes declare (wire 6). */
export function validatePrompt(
  prompt: JsonObject,
  targets: readonly JsonValue[] | undefined,
  world: Omit<ValidationWorld, 'graph'>,
): PromptVerdict {
  const graph: Record<string, DraftNode> = {};
  const outputs: string[] = [];
  for (const [nodeId, node] of Object.entries(structuredClone(prompt))) {
    if (!isJsonObject(node) || typeof node.class_type !== 'string') {
      const message = 'Cannot execute because a node is missing the class_type property.';
      return refuse(reject('invalid_prompt', message, `Node ID '#${nodeId}'`));
    }
    const info = world.find(node.class_type);
    if (info === undefined) {
      const message = `Cannot execute because node ${node.class_type} does not exist.`;
      return refuse(reject('invalid_prompt', message, `Node ID '#${nodeId}'`));
    }
    const inputs = isJsonObject(node.inputs) ? { ...node.inputs } : {};
    graph[nodeId] = { ...node, class_type: node.class_type, inputs };
    if (info.output_node && (targets?.includes(nodeId) ?? true)) outputs.push(nodeId);
  }
  if (outputs.length === 0) return refuse(reject('prompt_no_outputs', 'Prompt has no outputs'));

  const validator = new NodeValidator({ ...world, graph });
  const nodeErrors: Record<string, NodeErrors> = {};
  const good: string[] = [];
  const lines: string[] = [];
  for (const output of outputs) {
    const { isValid, errors } = validator.validate(output);
    if (isValid) {
      good.push(output);
      continue;
    }
    lines.push(...errors.map(({ message, details }) => `${message}: ${details}`));
    // As ComfyUI: every faulty node seen so far is blamed for this output too (wire 6.15).
    for (const [nodeId, verdict] of validator.verdicts) {
      if (verdict.errors.length === 0) continue;
      const dependents = nodeErrors[nodeId]?.dependent_outputs ?? [];
      nodeErrors[nodeId] = {
        errors: verdict.errors,
        dependent_outputs: [...dependents, output],
        class_type: graph[nodeId]?.class_type ?? '',
      };
    }
  }
  if (good.length > 0) return { ok: true, graph, outputs: good, nodeErrors };
  const { error } = reject(
    'prompt_outputs_failed_validation',
    'Prompt outputs failed validation',
    lines.join('\n'),
  );
  return refuse({ error, node_errors: nodeErrors });
}

function refuse(rejection: PromptRejection): PromptVerdict {
  return { ok: false, rejection };
}
