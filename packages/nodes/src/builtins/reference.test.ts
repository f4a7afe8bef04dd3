import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { PromptGraph } from '@tiercel/contracts';
import sharp from 'sharp';
import { createBench } from '../executor/test-run.ts';

interface ReferenceCase {
  readonly name: string;
  readonly graph: PromptGraph;
  readonly outputs: readonly string[];
}

const fixture = (path: string) => readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
const cases = JSON.parse(fixture('reference-cases.json').toString()) as ReferenceCase[];

async function readPixels(file: Uint8Array) {
  const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
  return { data, size: `${info.width}x${info.height}x${info.channels}` };
}

describe('pictures equal ComfyUI 0.3.64 to 1/255', () => {
  test.each(cases.map((item) => [item.name, item] as const))(
    '%s',
    async (_, { graph, outputs }) => {
      const bench = createBench();
      for (const name of readdirSync(new URL('../fixtures/inputs', import.meta.url))) {
        bench.inputs.set(name, fixture(`inputs/${name}`));
      }
      await bench.run(graph, ['99']);
      expect(bench.saved).toHaveLength(outputs.length);
      for (const [index, file] of outputs.entries()) {
        const expected = await readPixels(fixture(`outputs/${file}`));
        const actual = await readPixels(bench.saved[index]!.bytes);
        expect(actual.size).toBe(expected.size);
        let worst = 0;
        actual.data.forEach((value, i) => {
          worst = Math.max(worst, Math.abs(value - expected.data[i]!));
        });
        expect(worst).toBeLessThanOrEqual(1);
      }
    },
  );
});
