import { imageClasses } from '@tiercel/graph';
import type { NodeDefinition } from '../node-definition.ts';

/** A node whose declaration the catalogue of image classes has: only its `run` is written here. */
export function declareNode(classType: string, run: NodeDefinition['run']): NodeDefinition {
  const info = Object.hasOwn(imageClasses, classType) ? imageClasses[classType] : undefined;
  if (info === undefined) throw new TypeError(`The catalogue has no class ${classType}.`);
  const { required, optional } = info.input;
  const { output, output_name, display_name, category, python_module } = info;
  const more = ['deprecated', 'experimental', 'api_node'].filter((name) =>
    Object.hasOwn(info, name),
  );
  return {
    class_type: classType,
    input: { ...(required && { required }), ...(optional && { optional }) },
    output: output.map(String),
    ...(output_name && { output_name }),
    ...(category !== undefined && { category }),
    ...(python_module !== undefined && { python_module }),
    // ComfyUI gives some classes no name to display.
    info: {
      display_name: display_name ?? null,
      ...Object.fromEntries(more.map((name) => [name, info[name] === true])),
    },
    run,
  };
}
