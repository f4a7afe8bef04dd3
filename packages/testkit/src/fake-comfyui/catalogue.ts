import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { parseJson, type InputSpec, type NodeInfo, type ObjectInfo } from '@tiercel/contracts';
import type { FakeFiles } from './files.ts';
import { colourOf } from './pictures.ts';
import type { NodeValue, RunNode } from './node-class.ts';
import { API_NODES } from './nodes-api.ts';
import { IMAGE_NODES } from './nodes-image.ts';
import { MEDIA_NODES } from './nodes-media.ts';
import { SAMPLING_NODES } from './nodes-sampling.ts';
import type { FakeSettings } from './options.ts';

/** Read from the sources, also by the built package: tsc does not copy it. */
const FIXTURE = join(import.meta.dirname, '../../src/fake-comfyui/fixtures/object-info.json');
const KNOWN = readKnown();
const RUNNERS: Readonly<Record<string, RunNode>> = {
  ...IMAGE_NODES,
  ...SAMPLING_NODES,
  ...MEDIA_NODES,
  ...API_NODES,
};

/** The node classes of one server: what /object_info tells of them, and how they run. */
export class Catalogue {
  readonly #settings: FakeSettings;
  readonly #files: FakeFiles;
  readonly #own: ObjectInfo;

  constructor(settings: FakeSettings, files: FakeFiles) {
    this.#settings = settings;
    this.#files = files;
    const names = settings.classes.length === 0 ? Object.keys(KNOWN) : settings.classes;
    const chosen = names.map((name) => {
      const info = KNOWN[name];
      if (info === undefined) throw new Error(`the fake ComfyUI has no node class ${name}`);
      return [name, info] as const;
    });
    this.#own = Object.fromEntries(chosen);
  }

  /** Extensions may be added at any time. */
  get #classes(): ObjectInfo {
    return { ...this.#own, ...this.#settings.extraClasses };
  }

  /** With the choices of now: models, uploads. */
  describe(): ObjectInfo {
    const entries = Object.entries(this.#classes);
    return Object.fromEntries(entries.map(([name, info]) => [name, this.#addChoices(name, info)]));
  }

  find(name: string): NodeInfo | undefined {
    const info = Object.hasOwn(this.#classes, name) ? this.#classes[name] : undefined;
    return info === undefined ? undefined : this.#addChoices(name, info);
  }

  runner(name: string): RunNode {
    const info = this.#classes[name];
    if (info !== undefined && Object.hasOwn(this.#settings.extraClasses, name)) {
      return () => runUnknown(info);
    }
    return RUNNERS[name] ?? (() => ({}));
  }

  #addChoices(name: string, info: NodeInfo): NodeInfo {
    if (Object.hasOwn(this.#settings.extraClasses, name)) return info;
    const inputs = this.#files.listInputs();
    const ofType = (pattern: RegExp): string[] =>
      inputs.filter((file) => pattern.test(extname(file)));
    switch (name) {
      case 'CheckpointLoaderSimple':
        return withChoices(info, 'ckpt_name', this.#settings.checkpoints);
      case 'LoraLoader':
        return withChoices(info, 'lora_name', this.#settings.models.loras ?? []);
      case 'LoadImage':
        return withChoices(info, 'image', ofType(/^\.(png|jpe?g|webp|gif|bmp)$/));
      case 'LoadImageMask':
        return withChoices(info, 'image', inputs);
      case 'LoadAudio':
        return withChoices(info, 'audio', ofType(/^\.(wav|mp3|flac|ogg|opus)$/));
      case 'LoadVideo':
        return withChoices(info, 'file', ofType(/^\.(mp4|webm|mkv|mov)$/));
      default:
        return info;
    }
  }
}

function withChoices(info: NodeInfo, input: string, choices: readonly string[]): NodeInfo {
  const spec = info.input.required?.[input];
  if (spec === undefined) return info;
  const [type, options] = spec;
  const chosen: InputSpec =
    type === 'COMBO' ? [type, { ...options, options: choices }] : withoutHole([choices, options]);
  return {
    ...info,
    input: { ...info.input, required: { ...info.input.required, [input]: chosen } },
  };
}

function withoutHole([type, options]: readonly [
  readonly string[],
  InputSpec[1] | undefined,
]): InputSpec {
  return options === undefined ? [type] : [type, options];
}

function runUnknown(info: NodeInfo): ReturnType<RunNode> {
  const picture = { width: 64, height: 64, colour: colourOf(info.name) };
  const outputs = info.output.map((): NodeValue => ({ kind: 'image', pictures: [picture] }));
  return info.output_node ? { outputs, ui: { text: [info.name] } } : { outputs };
}

function readKnown(): ObjectInfo {
  // The fixture is a part of ComfyUI's own /object_info.
  return parseJson(readFileSync(FIXTURE, 'utf8')) as unknown as ObjectInfo;
}
