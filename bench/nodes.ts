import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PromptGraph } from '@tiercel/contracts';
import { encodePng } from '@tiercel/pictures';
import { alternate, type Benchmark } from './benchmark.ts';
import { startRole } from './role-process.ts';

/** Side of the picture that is loaded. */
const SIDE = 800;
const PICTURES = 20;
const MIB = 1024 * 1024;

/** Load, scale, blur, composite, save. */
const GRAPH: PromptGraph = {
  load: { class_type: 'LoadImage', inputs: { image: 'photo.png' } },
  scale: {
    class_type: 'ImageScale',
    inputs: {
      ...{ image: ['load', 0], upscale_method: 'lanczos', crop: 'disabled' },
      ...{ width: 1024, height: 1024 },
    },
  },
  blur: { class_type: 'ImageBlur', inputs: { image: ['scale', 0], blur_radius: 5, sigma: 1 } },
  composite: {
    class_type: 'ImageCompositeMasked',
    inputs: {
      ...{ destination: ['blur', 0], source: ['load', 0], x: 112, y: 112 },
      resize_source: false,
    },
  },
  save: { class_type: 'SaveImage', inputs: { images: ['composite', 0], filename_prefix: 'x' } },
};

interface Measured {
  readonly cpuMs: number;
  readonly peakBytes: number;
}

/** The embedded executor beside Pillow: pictures of 1024x1024 for a second of one core, and peak memory. */
export const benchNodes: Benchmark = async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'tiercel-bench-'));
  try {
    const picture = await paintPhoto();
    const file = join(folder, 'photo.png');
    await writeFile(file, picture);
    const peaks = { tiercel: 0, pillow: 0 };
    let longestTurnMs = 0;
    const rate = (name: keyof typeof peaks, { cpuMs, peakBytes }: Measured) => {
      peaks[name] = Math.max(peaks[name], peakBytes);
      return (PICTURES * 1_000) / cpuMs;
    };
    const runTiercel = async () => {
      const run = startRole('runGraphs');
      const base64 = picture.toString('base64');
      const command = { graph: GRAPH, output: 'save', picture: base64, count: PICTURES };
      const measured = await run(command);
      longestTurnMs = Math.max(longestTurnMs, measured.longestTurnMs);
      return rate('tiercel', measured);
    };
    const hasPillow = await canImportPillow();
    if (!hasPillow) context.say('nodes: no Pillow to compare with (python3 -m pip install pillow)');
    const runPillow = async () => rate('pillow', await measurePillow(file));
    const contenders: Record<string, () => Promise<number>> = {
      tiercel: runTiercel,
      ...(hasPillow && { pillow: runPillow }),
    };
    const rates = await alternate(contenders, {
      onFigure: (name, value) => {
        context.say(`nodes, ${name}: ${value.toFixed(2)} pictures/s a core`);
      },
    });
    const best = (name: string) => Math.max(...(rates[name] ?? []));
    const beside = (value: number) => (hasPillow ? { reference: { name: 'Pillow', value } } : {});
    return [
      { name: 'nodes', unit: '/s a core', tiercel: best('tiercel'), ...beside(best('pillow')) },
      {
        ...{ name: 'nodes, peak memory', unit: 'MiB', tiercel: peaks.tiercel / MIB },
        ...beside(peaks.pillow / MIB),
      },
      {
        ...{ name: 'nodes, longest turn', unit: 'ms', tiercel: longestTurnMs },
        aim: { value: { atMost: 50 } },
      },
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
};

/** Waves and grain, so that it compresses like a photo. */
async function paintPhoto(): Promise<Buffer> {
  const data = new Uint8Array(SIDE * SIDE * 3);
  let grain = 1;
  for (let i = 0; i < data.length; i += 1) {
    grain = (Math.imul(grain, 1_103_515_245) + 12_345) >>> 0;
    const pixel = Math.floor(i / 3);
    const wave = Math.sin((pixel % SIDE) / 37 + (i % 3)) + Math.cos(Math.floor(pixel / SIDE) / 53);
    data[i] = 128 + 50 * wave + (grain >>> 28);
  }
  return Buffer.from(
    await encodePng({ width: SIDE, height: SIDE, channels: 3, data }, { level: 4 }),
  );
}

const execute = promisify(execFile);

async function canImportPillow(): Promise<boolean> {
  return execute('python3', ['-c', 'import PIL']).then(
    () => true,
    () => false,
  );
}

async function measurePillow(file: string): Promise<Measured> {
  const script = join(process.cwd(), 'bench/pillow.py');
  const { stdout } = await execute('python3', [script, file, String(PICTURES)]);
  return JSON.parse(stdout) as Measured; // what the script prints
}
