import { expect, test } from '@jest/globals';
import { parseJson } from '@tiercel/contracts';
import { readNodes } from './graph-nodes.ts';

test('the links and the values of a node are told apart, each in the order they were written', () => {
  const text = `{"7": {"class_type": "KSampler", "_meta": {"title": "Paint"}, "inputs": {
    "seed": 18446744073709551615, "model": ["4", 0], "names": ["a", "b"], "latent": ["5", 1]}}}`;
  const node = readNodes(parseJson(text)).get('7');
  expect(node).toMatchObject({ nodeId: '7', classType: 'KSampler', title: 'Paint' });
  expect(node?.links).toEqual([
    { input: 'model', from: '4', slot: 0 },
    { input: 'latent', from: '5', slot: 1 },
  ]);
  expect(node?.values).toEqual([
    ['seed', 18446744073709551615n],
    ['names', ['a', 'b']],
  ]);
});

test('nodes stand in the order of the prompt, under any id; what is no node is left out', () => {
  const text = `{"b": {"class_type": "A", "inputs": {}}, "__proto__": {"class_type": "A", "inputs": {}},
    "x": null, "y": [], "z": {"inputs": {}}, "w": {"class_type": 1, "inputs": {}},
    "v": {"class_type": "A"}, "u": {"class_type": "A", "inputs": [1]},
    "a": {"class_type": "A", "inputs": {}}}`;
  expect([...readNodes(parseJson(text)).keys()]).toEqual(['b', '__proto__', 'a']);
});

test.each([[null], [3], ['x'], [[]]])('%p has no nodes', (garbage) => {
  expect(readNodes(garbage).size).toBe(0);
});
