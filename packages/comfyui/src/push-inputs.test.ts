import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { type ObjectInfo, parseJson, type PromptGraph } from '@tiercel/contracts';
import { fileOf } from '@tiercel/testkit';
import { pushInputs, type RenamedInput } from './push-inputs.ts';

const OBJECT_INFO = {
  LoadImage: {
    ...{ name: 'LoadImage', output: ['IMAGE'], output_node: false },
    input: { required: { image: [['a.png'], { image_upload: true }] } },
  },
} as const satisfies ObjectInfo;

const BYTES = Buffer.from('a picture');
const NAME = `tiercel/${createHash('sha256').update(BYTES).digest('hex')}.png`;

async function push(promptText: string, renamed: RenamedInput[] = []): Promise<string> {
  const graph = parseJson(promptText) as unknown as PromptGraph;
  return await pushInputs(graph, promptText, OBJECT_INFO, {
    openInput: () => Promise.resolve(fileOf(BYTES)),
    push: () => Promise.resolve(),
    noteName: (name) => renamed.push(name),
  });
}

test('a prompt without files is passed on as it was written', async () => {
  const text = '{ "9":{"class_type":"K","inputs":{"cfg":1.0, "seed":18446744073709551615}} }';
  expect(await push(text)).toBe(text);
});

test('of a prompt with files only their names change: numbers, order and other members stay', async () => {
  const text = (name: string) =>
    `{"10":{"class_type":"K","inputs":{"cfg":1.0,"seed":18446744073709551615,"e":1e3}},` +
    `"2":{"_meta":{"title":"1.0"},"inputs":{"strength":1.0,"image":"${name}"},"class_type":"LoadImage"}}`;
  const renamed: RenamedInput[] = [];
  expect(await push(text('mine.png [input]'), renamed)).toBe(text(NAME));
  expect(renamed).toEqual([{ nodeId: '2', given: 'mine.png [input]', pushed: NAME }]);
});
