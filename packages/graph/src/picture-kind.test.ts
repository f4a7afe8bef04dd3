import { expect, test } from '@jest/globals';
import { pictureKind } from './picture-kind.ts';

const required = (...types: string[]) => ({
  required: Object.fromEntries(types.map((type, n) => [`i${n}`, [type]] as const)),
});

test('pictures of an output node that gives nothing on are results', () => {
  const sink = { input: required('IMAGE'), output: [], output_node: true };
  expect(pictureKind(sink)).toBe('result');
});

test.each([
  ['takes a model', { input: required('MODEL', 'INT'), output: ['IMAGE'] }],
  ['gives a latent', { input: required('GUIDER'), output: ['LATENT', 'LATENT'] }],
  ['takes one of several types', { input: required('IMAGE,LATENT'), output: ['IMAGE'] }],
  [
    'takes a sampler that may be left out',
    { input: { optional: { s: ['SAMPLER'] as const } }, output: ['*'] },
  ],
  // Some packs' samplers are output nodes, to show their preview beside the node.
  ['is an output node too', { input: required('MODEL'), output: ['LATENT'], output_node: true }],
])('pictures of a node that %s show a sampler at work', (_what, info) => {
  expect(pictureKind(info)).toBe('sampling');
});

test('pictures of any other node are its own', () => {
  const choice = { required: { mode: [['LATENT', 'MODEL']] as const } };
  expect(pictureKind({ input: choice, output: ['IMAGE'] })).toBe('own');
  expect(pictureKind({ input: {}, output: ['IMAGE'], output_node: true })).toBe('own');
});
