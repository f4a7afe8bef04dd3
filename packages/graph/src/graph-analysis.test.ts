import { describe, expect, test } from '@jest/globals';
import { GraphAnalysis } from './graph-analysis.ts';
import { node, textToImage } from './lower/test-graphs.ts';

describe('the analysis of a graph', () => {
  test('keeps each part that it was asked for', () => {
    const analysis = new GraphAnalysis(textToImage(), ['9']);
    expect(analysis.nodes).toBe(analysis.nodes);
    expect(analysis.needed).toBe(analysis.needed);
    expect(analysis.lowering).toBe(analysis.lowering);
    expect(analysis.lowering.stages).toHaveLength(1);
  });

  test('names the nodes that the outputs need, the last output and the last input first', () => {
    const graph = {
      a: node('EmptyImage'),
      b: node('ImageInvert', { image: ['a', 0] }),
      c: node('ImageBlend', { image1: ['a', 0], image2: ['b', 0] }),
      d: node('PreviewImage', { images: ['c', 0] }),
      e: node('PreviewImage', { images: ['b', 0], more: ['nowhere', 0] }),
      f: node('PreviewImage', { images: ['a', 0] }),
    };
    expect([...new GraphAnalysis(graph, ['d', 'e']).needed.keys()]).toEqual([
      ...['e', 'b', 'a', 'd', 'c'],
    ]);
    expect([...new GraphAnalysis(graph, ['d']).needed.keys()]).toEqual(['d', 'c', 'b', 'a']);
    expect([...new GraphAnalysis(graph, ['gone']).needed.keys()]).toEqual([]);
  });

  test('asks a question once about each subject, whatever the answer is', () => {
    const analysis = new GraphAnalysis(textToImage(), ['9']);
    const asked: object[] = [];
    const findMissing = ({ nodes }: GraphAnalysis, classes: ReadonlySet<string>) => {
      asked.push(classes);
      return [...nodes.values()].find(({ classType }) => !classes.has(classType))?.classType;
    };
    const countClasses = ({ nodes }: GraphAnalysis, classes: ReadonlySet<string>) =>
      [...nodes.values()].filter(({ classType }) => classes.has(classType)).length;
    const all = new Set([...analysis.nodes.values()].map(({ classType }) => classType));
    const none = new Set<string>();
    for (let round = 0; round < 2; round += 1) {
      expect(analysis.once(findMissing, all)).toBeUndefined();
      expect(analysis.once(findMissing, none)).toEqual(expect.any(String));
      expect(analysis.once(countClasses, none)).toBe(0);
    }
    expect(asked).toEqual([all, none]);
    // Another job asks anew.
    new GraphAnalysis(textToImage(), ['9']).once(findMissing, all);
    expect(asked).toHaveLength(3);
  });
});
