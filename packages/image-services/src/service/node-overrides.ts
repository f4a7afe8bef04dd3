import type { Lowering, SampleStage } from '@tiercel/graph';
import type { Latent, NodeContext, NodeDefinition } from '@tiercel/nodes';

/** Outputs of a node whose class is not looked up: more than any class of ComfyUI has. */
const MANY_OUTPUTS: readonly string[] = new Array<string>(16).fill('*');

/**
 * What runs in place of the nodes that an image service stands for: loaders and encoders give nothing, samplers
 * ask the service. Always changed: whether a result may be used again is for the shared store to say.
 */
export function createNodeOverrides(
  lowering: Lowering,
  sample: (stage: SampleStage, latent: unknown, context: NodeContext) => Promise<Latent>,
): ReadonlyMap<string, NodeDefinition> {
  const nodeOverrides = new Map<string, NodeDefinition>();
  const add = (nodeId: string, run: NodeDefinition['run']) => {
    nodeOverrides.set(nodeId, {
      class_type: 'StandIn',
      input: {},
      output: MANY_OUTPUTS,
      fingerprint: () => Number.NaN,
      run,
    });
  };
  const fill = (value: unknown) => ({ outputs: MANY_OUTPUTS.map(() => value) });
  for (const nodeId of lowering.descriptive) add(nodeId, () => Promise.resolve(fill(null)));
  for (const [nodeId, input] of lowering.passThrough) {
    add(nodeId, (inputs) => Promise.resolve(fill(inputs[input])));
  }
  for (const stage of lowering.stages) {
    add(stage.nodeId, async (inputs, context) =>
      fill(await sample(stage, inputs[stage.latentInput], context)),
    );
  }
  return nodeOverrides;
}
