import {
  listOutputFiles,
  type NewOutput,
  type OutputRef,
  sliceMembers,
  type UiOutput,
} from '@tiercel/contracts';
import { PLUGIN_MODULE } from '@tiercel/graph';
import { copyPixels } from '@tiercel/pictures';
import type { AttemptRequest } from '@tiercel/routing';
import { createTextChunks, toOutput } from '../builtins/file-nodes.ts';
import type { NodeDefinition, PictureName } from '../node-definition.ts';
import type { NodeRegistry } from '../registry.ts';

type Outputs = Readonly<Record<string, UiOutput>>;
type Graph = Pick<AttemptRequest, 'analysis' | 'outputIds' | 'promptText'>;

/**
 * Whether all that a graph shows are pictures made of nothing but what its cache key holds, so that an equal graph of
 * somebody else may show their pixels. Not when a plug-in is in it, or a node that is given the prompt and is none of
 * those that store pictures: what they show, nobody knows. A class that is not here is run by a service, which gets
 * what the key holds.
 */
export function showsPixelsOnly(graph: Graph, registry: NodeRegistry): boolean {
  const isPlain = (definition: NodeDefinition | undefined): boolean =>
    definition === undefined ||
    (definition.python_module?.startsWith(PLUGIN_MODULE) !== true &&
      (definition.input.hidden === undefined || definition.pictureName !== undefined));
  return (
    graph.outputIds.every((id) => nameOf(graph, id, registry) !== undefined) &&
    [...graph.analysis.needed.values()].every(({ classType }) => isPlain(registry.get(classType)))
  );
}

function nameOf(
  { analysis, promptText }: Graph,
  nodeId: string,
  registry: NodeRegistry,
): PictureName | undefined {
  const node = analysis.needed.get(nodeId);
  const definition = node === undefined ? undefined : registry.get(node.classType);
  if (node === undefined) return undefined;
  return definition?.pictureName?.(Object.fromEntries(node.values), promptText);
}

/**
 * Gives a job pictures that an equal job of another tenant has stored: files of its own, under names of its own, with
 * its own prompt and workflow in them. Of the other files only the pixels are taken.
 * @param read a stored file of the other tenant; undefined when it is gone
 * @returns what its output nodes show; undefined when something else than such pictures was stored
 */
export async function copyPictures(
  shown: Outputs,
  job: Graph & Pick<AttemptRequest, 'extraDataText'>,
  files: {
    readonly registry: NodeRegistry;
    read(ref: OutputRef): Promise<Uint8Array | undefined>;
    saveOutput(output: NewOutput): Promise<OutputRef>;
  },
): Promise<Outputs | undefined> {
  const extraPnginfo = sliceMembers(job.extraDataText).get('extra_pnginfo');
  const texts = createTextChunks({ promptText: job.promptText, extraPnginfo }, undefined);
  const copied: [nodeId: string, ui: UiOutput][] = [];
  for (const [nodeId, ui] of Object.entries(shown)) {
    const name = nameOf(job, nodeId, files.registry);
    const refs = readPictures(ui);
    if (name === undefined || refs === undefined) return undefined;
    const images: OutputRef[] = [];
    for (const [index, ref] of refs.entries()) {
      const png = await files.read(ref);
      const copy = png === undefined ? undefined : copyPixels(png, texts);
      if (copy === undefined) return undefined;
      images.push(await files.saveOutput(toOutput(name, index, copy)));
    }
    copied.push([nodeId, { images }]);
  }
  return Object.fromEntries(copied);
}

/** What a node that stores pictures shows; undefined for anything else. */
function readPictures(ui: UiOutput): OutputRef[] | undefined {
  const { images, ...others } = ui;
  if (!Array.isArray(images) || Object.keys(others).length > 0) return undefined;
  const refs = listOutputFiles({ images });
  return refs.length === images.length ? refs : undefined;
}
