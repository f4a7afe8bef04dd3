import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import {
  DEFAULT_TENANT,
  type ObjectInfo,
  parseJson,
  type PromptGraph,
  toPythonJson,
} from '@tiercel/contracts';
import type { AttemptRequest } from '@tiercel/routing';
import { fileOf } from '@tiercel/testkit';
import { CallerNames, pushInputs, recallNames, type RenamedInput } from './input-files.ts';

const OBJECT_INFO = {
  LoadImage: {
    ...{ name: 'LoadImage', output: ['IMAGE'], output_node: false },
    input: { required: { image: [['a.png'], { image_upload: true }] } },
  },
  LoadMesh: {
    ...{ name: 'LoadMesh', output: ['MESH'], output_node: false },
    input: { required: { model_file: [['a.glb'], { file_upload: true }] } },
  },
} as const satisfies ObjectInfo;

/** What the caller's files hold; another name is that of a file with its name as content. */
const CONTENTS: Readonly<Record<string, string>> = { 'one.png': 'same', 'two.png [input]': 'same' };
const openInput = (name: string) => Promise.resolve(fileOf(Buffer.from(CONTENTS[name] ?? name)));
const hashOf = (content: string) => createHash('sha256').update(content).digest('hex');

async function push(
  promptText: string,
  noteName: (renamed: RenamedInput) => void = () => undefined,
): Promise<string> {
  const graph = parseJson(promptText) as unknown as PromptGraph;
  return await pushInputs(graph, promptText, OBJECT_INFO, {
    openInput,
    push: () => Promise.resolve(),
    noteName,
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
  const given = 'mine.png [input]';
  const pushed = `tiercel/${hashOf(given)}.png`;
  const renamed: RenamedInput[] = [];
  expect(await push(text(given), (name) => renamed.push(name))).toBe(text(pushed));
  expect(renamed).toEqual([{ nodeId: '2', given, pushed }]);
});

/** The parts of a PNG that matter here: signature and one chunk. */
function png(promptText: string): Buffer {
  const body = Buffer.from(`tEXtprompt\0${promptText}`, 'latin1');
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(body.length - 4);
  frame.writeUInt32BE(crc32(body), 4);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** Sends a prompt. @returns the names, and the prompt as the server writes it into pictures */
async function send(promptText: string): Promise<{ names: CallerNames; written: string }> {
  const names = new CallerNames(DEFAULT_TENANT);
  const sent = await push(promptText, (renamed) => {
    names.note(renamed);
  });
  return { names, written: toPythonJson(sent) };
}

const restore = (names: CallerNames, written: string) => Buffer.from(names.restoreIn(png(written)));

/** A prompt with a node for each of these names, and one without. */
const load = (...names: readonly string[]): string => {
  const loaders = names.map(
    (name, id) =>
      `"${id}":{"inputs":{"image":${JSON.stringify(name)},"s":1.0},"class_type":"LoadImage"}`,
  );
  const other = '"k":{"inputs":{"seed":18446744073709551615,"e":1e3},"class_type":"K"}';
  return `{${[other, ...loaders].join(',')}}`;
};

describe('the prompt in a picture', () => {
  test.each([
    ['plain', 'mine.png'],
    ['in a folder, annotated', 'clipspace/mine 1.png [temp]'],
    ['not ASCII', 'Übersicht 猫😀.pñg'],
    ['with characters that JSON escapes', 'a"b\\c.p"n\\g'],
    ['with what String.replace takes for a pattern', "$&$'$1.png"],
    ['without an extension', 'mine'],
  ])('has the name that the caller wrote, digit for digit as it was: %s', async (_what, name) => {
    const { names, written } = await send(load(name));
    expect(written).toContain(`"tiercel/${hashOf(name)}`);
    expect(restore(names, written)).toEqual(png(toPythonJson(load(name))));
  });

  test('has each name of one content where the caller wrote it', async () => {
    const prompt = load('two.png [input]', 'one.png', 'other.png');
    const { names, written } = await send(prompt);
    expect(written.split(hashOf('same'))).toHaveLength(3);
    expect(restore(names, written)).toEqual(png(toPythonJson(prompt)));
  });

  test('has the names of files that lie below 3d', async () => {
    const prompt = '{"1":{"inputs":{"model_file":"3d/mesh.glb"},"class_type":"LoadMesh"}}';
    const { names, written } = await send(prompt);
    expect(written).toContain(`"3d/tiercel/${hashOf('3d/mesh.glb')}.glb"`);
    expect(restore(names, written)).toEqual(png(toPythonJson(prompt)));
  });

  test('of an earlier job stays what it was, but for the names of the same files', async () => {
    const { names } = await send(load('one.png'));
    const earlier = (name: string, other: string) =>
      `{"77": {"inputs": {"image": "${name}", "text": "say \\"tiercel/x\\"", "cfg": NaN}, ` +
      `"class_type": "LoadImage"}, "8": {"inputs": {"image": "${other}"}}}`;
    const foreign = `tiercel/${hashOf('of somebody else')}.png`;
    expect(restore(names, earlier(`tiercel/${hashOf('same')}.png`, foreign))).toEqual(
      png(earlier('one.png', foreign)),
    );
  });

  test.each([
    ['none of the files', '{"1": {"inputs": {}}}'],
    ['no JSON', `"tiercel/${hashOf('same')}.png" {"`],
    ['JSON that is no prompt', `["tiercel/${hashOf('same')}.png"]`],
    ['a name inside a longer text', `{"1": {"t": "see \\"tiercel/${hashOf('same')}.png\\""}}`],
  ])('stays as it is when it holds %s', async (_what, written) => {
    const { names } = await send(load('one.png'));
    const file = png(written);
    expect(names.restoreIn(file)).toBe(file);
  });

  test('is not looked for when the caller named no files, nor in files of other kinds', async () => {
    const file = png(`{"1": {"inputs": {"image": "tiercel/${hashOf('same')}.png"}}}`);
    expect((await send(load())).names.restoreIn(file)).toBe(file);
    const { names, written } = await send(load('one.png'));
    const webp = Buffer.from(`RIFF prompt:${written}`);
    expect(names.restoreIn(webp)).toBe(webp);
  });
});

test('a worker that takes over learns the names from the prompt and the files that are still there', async () => {
  const prompt = load('gone.png', 'one.png');
  const { written } = await send(prompt);
  const request = {
    graph: parseJson(prompt) as unknown as PromptGraph,
    promptText: prompt,
  } as Partial<AttemptRequest> as AttemptRequest; // the only members that are read
  const names = await recallNames(request, OBJECT_INFO, {
    openInput: (name) =>
      name === 'gone.png' ? Promise.reject(new Error('deleted')) : openInput(name),
  });
  const expected = load(`tiercel/${hashOf('gone.png')}.png`, 'one.png');
  expect(restore(names, written)).toEqual(png(toPythonJson(expected)));
});
