import { stringifyJson, type OutputRef } from '@tiercel/contracts';
import { loadFile } from './nodes-image.ts';
import { encodePng } from './pictures.ts';
import {
  isOfKind,
  readKind,
  readNumber,
  readText,
  type NodeContext,
  type NodeInputs,
  type NodeValue,
  type RunNode,
} from './node-class.ts';

/** Beginnings of real files; what follows tells the inputs apart. No player would play them. */
const HEADS = {
  webp: Buffer.from('524946463600000057454250565038202a000000', 'hex'),
  mp4: Buffer.from('00000018667479706d703432000000006d70343269736f6d', 'hex'),
  flac: Buffer.from('664c6143', 'hex'),
  latent: Buffer.from('4200000000000000', 'hex'),
  glb: Buffer.from('676c5446020000000c000000', 'hex'),
} as const;

function save(
  context: NodeContext,
  inputs: NodeInputs,
  extension: keyof typeof HEADS,
  content: NodeValue | undefined,
): OutputRef {
  const isFile = isOfKind(content, 'file');
  const bytes = isFile ? content.bytes : Buffer.from(stringifyJson(content));
  const prefix = readText(inputs.filename_prefix, 'ComfyUI');
  return context.files.save('output', prefix, extension, Buffer.concat([HEADS[extension], bytes]));
}

const loadAs =
  (input: string): RunNode =>
  (inputs, context) => {
    const name = readText(inputs[input]);
    return { outputs: [{ kind: 'file', name, bytes: loadFile(name, context) }] };
  };

/** Everything that is not a still picture: outputs under other keys, and flags beside them. */
export const MEDIA_NODES: Readonly<Record<string, RunNode>> = {
  LoadAudio: loadAs('audio'),
  LoadVideo: loadAs('file'),
  Load3D: (inputs, context) => {
    const name = readText(inputs.model_file);
    const file = { kind: 'file', name, bytes: loadFile(name, context) } as const;
    return { outputs: Array<NodeValue>(7).fill(file).with(2, name) };
  },
  EmptyAudio: (inputs) => ({
    outputs: [{ kind: 'opaque', type: 'AUDIO', name: readText(inputs.duration) }],
  }),
  FakeMesh: (inputs) => ({
    outputs: [{ kind: 'opaque', type: 'MESH', name: readText(inputs.size) }],
  }),
  SaveAnimatedWEBP: (inputs, context) => ({
    ui: { images: [save(context, inputs, 'webp', inputs.images)], animated: [true] },
  }),
  SaveVideo: (inputs, context) => ({
    ui: { images: [save(context, inputs, 'mp4', inputs.video)], animated: [true] },
  }),
  /** As VideoHelperSuite: `gifs` with extra keys, and a PNG of the first picture beside the video. */
  VHS_VideoCombine: (inputs, context) => {
    const image = readKind(inputs.images, 'image');
    const file = save(context, inputs, 'mp4', image);
    const [first] = image.pictures;
    const png = first && context.files.saveBeside(file, 'png', encodePng(first));
    const preview = {
      ...file,
      format: readText(inputs.format, 'video/h264-mp4'),
      frame_rate: readNumber(inputs.frame_rate, 8),
      workflow: png?.filename ?? '',
      fullpath: `/opt/ComfyUI/output/${file.filename}`,
    };
    return {
      ui: { gifs: [preview] },
      outputs: [{ kind: 'opaque', type: 'VHS_FILENAMES', name: file.filename }],
    };
  },
  /** Names its file as it is told, as the savers of some extensions do, and puts it over one of that name. */
  SaveAs: (inputs, context) => {
    const bytes = Buffer.from(readText(inputs.content));
    return { ui: { files: [context.files.saveAs(readText(inputs.filename), bytes)] } };
  },
  SaveAudio: (inputs, context) => ({
    ui: { audio: [save(context, inputs, 'flac', inputs.audio)] },
  }),
  SaveLatent: (inputs, context) => ({
    ui: { latents: [save(context, inputs, 'latent', inputs.samples)] },
  }),
  SaveGLB: (inputs, context) => ({ ui: { '3d': [save(context, inputs, 'glb', inputs.mesh)] } }),
  /** Shows its file as a path below the output folder, in text. */
  Save3D: (inputs, context) => {
    const { subfolder, filename } = save(context, inputs, 'glb', inputs.mesh);
    return {
      ui: { result: [subfolder === '' ? filename : `${subfolder}/${filename}`, null, null] },
    };
  },
  /** Names a model in the output folder by its path, as text. */
  Preview3D: (inputs) => ({ ui: { result: [readText(inputs.model_file), null] } }),
  PrimitiveInt: (inputs) => ({ outputs: [inputs.value ?? null] }),
  PreviewAny: (inputs) => ({ ui: { text: [describe(inputs.source)] } }),
  CustomMessage: (inputs, context) => {
    const value = readText(inputs.value);
    const to = readText(inputs.to, 'all') === 'client' ? 'client' : 'all';
    const data = { value, node: context.nodeId, prompt_id: context.promptId };
    context.sendMessage(readText(inputs.type, 'my.extension'), data, to);
    context.sendText(value);
    return { ui: { text: [value] } };
  },
};

function describe(value: NodeValue | undefined): string {
  if (value === undefined || value === null) return 'None';
  return typeof value === 'object' ? stringifyJson(value) : String(value);
}
