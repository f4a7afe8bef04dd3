import { describe, expect, test } from '@jest/globals';
import { sortBySources, walkGraph } from './walk-graph.ts';

type Links = Readonly<Record<string, readonly string[]>>;

const sourcesIn =
  (links: Links) =>
  (id: string): readonly string[] =>
    links[id] ?? [];

const DIAMOND: Links = { out: ['left', 'right'], left: ['base'], right: ['base'], other: ['base'] };
const RING: Links = { out: ['a'], a: ['b'], b: ['c', 'd'], c: ['a'], d: ['d'] };

describe('a walk', () => {
  test('comes once to each node that the roots need, in depth before in breadth', () => {
    const seen = walkGraph(['out'], { sourcesOf: sourcesIn(DIAMOND) });
    expect([...seen]).toEqual(['out', 'left', 'base', 'right']);
  });

  test('goes to the sources in the order they are given, and to the roots in theirs', () => {
    const seen = walkGraph(['other', 'out'], {
      sourcesOf: (id) => [...sourcesIn(DIAMOND)(id)].reverse(),
    });
    expect([...seen]).toEqual(['other', 'base', 'out', 'right', 'left']);
  });

  test('leaves a node after its sources', () => {
    expect(sortBySources(['out'], sourcesIn(DIAMOND))).toEqual(['base', 'left', 'right', 'out']);
  });

  test('reads on in the sources of a node when it has left those before', () => {
    const steps: string[] = [];
    walkGraph(['out'], {
      *sourcesOf(id) {
        for (const from of sourcesIn(DIAMOND)(id)) {
          steps.push(`${id} needs ${from}`);
          yield from;
        }
      },
      leave: (id) => {
        steps.push(`${id} is left`);
      },
    });
    expect(steps).toEqual([
      'out needs left',
      'left needs base',
      'base is left',
      'left is left',
      'out needs right',
      'right needs base',
      'right is left',
      'out is left',
    ]);
  });

  test('tells of each link that closes a cycle, with the nodes in it, and ends', () => {
    const cycles: string[] = [];
    const sorted: string[] = [];
    walkGraph(['out'], {
      sourcesOf: sourcesIn(RING),
      leave: (id) => {
        sorted.push(id);
      },
      closeCycle: (path, index) => {
        cycles.push(path.slice(index).join(' '));
      },
    });
    expect(cycles).toEqual(['a b c', 'd']);
    expect(sorted).toEqual(['c', 'd', 'b', 'a', 'out']);
  });

  test('goes down a chain of 100,000 nodes', () => {
    const sourcesOf = (id: number): readonly number[] => (id === 0 ? [] : [id - 1]);
    expect(sortBySources([100_000], sourcesOf)).toHaveLength(100_001);
  });
});
