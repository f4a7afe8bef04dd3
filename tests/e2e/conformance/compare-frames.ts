import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonValue } from '@tiercel/contracts';
import { compareValues, haveSameMembers, type Mismatch } from './compare.ts';
import type { PlainFrame } from './frame-steps.ts';

/**
 * Compares what one socket was sent, in order. Frames that have no counterpart are mismatches of their
 * own; when the same frames came in another order, that is a single one.
 * @param place the transcript and the socket
 */
export function compareFrames(
  place: string,
  recorded: readonly PlainFrame[],
  actual: readonly PlainFrame[],
): Mismatch[] {
  const mismatches = align(recorded, actual).flatMap(([theirs, ours]) =>
    compareValues(`${place} ${theirs?.type ?? ours?.type ?? ''}`, theirs?.data, ours?.data),
  );
  if (mismatches.length === 0) return [];
  const [before, after] = [toChanges(recorded), toChanges(actual)];
  if (!haveSameMembers(before, after)) return mismatches;
  return [{ place, path: '/order', recorded: before, actual: after }];
}

/**
 * `progress_state` repeats all earlier nodes: reduced to what each one adds, so that frames can be
 * compared whatever came before them.
 */
function toChanges(frames: readonly PlainFrame[]): JsonValue[] {
  let known: JsonValue = {};
  return frames.map(({ type, data }): JsonValue => {
    if (type !== 'progress_state' || !isJsonObject(data) || !isJsonObject(data.nodes)) {
      return { type, data };
    }
    const earlier = known;
    known = data.nodes;
    const changed = Object.entries(data.nodes).filter(
      ([id, state]) => !isJsonObject(earlier) || !isDeepStrictEqual(earlier[id], state),
    );
    return { type, data: Object.fromEntries(changed) };
  });
}

type Pair = readonly [recorded: PlainFrame | undefined, actual: PlainFrame | undefined];

/** Pairs frames up: equal ones along a longest common subsequence, others in between by their type. */
function align(recorded: readonly PlainFrame[], actual: readonly PlainFrame[]): Pair[] {
  const lengths = measureCommon(recorded, actual);
  const pairs: Pair[] = [];
  const [theirs, ours]: [PlainFrame[], PlainFrame[]] = [[], []];
  let [i, j] = [0, 0];
  while (i < recorded.length || j < actual.length) {
    const [a, b] = [recorded[i], actual[j]];
    if (a !== undefined && b !== undefined && isDeepStrictEqual(a, b)) {
      pairs.push(...pairByType(theirs.splice(0), ours.splice(0)));
      i += 1;
      j += 1;
    } else if (b === undefined || (lengths[i + 1]?.[j] ?? -1) >= (lengths[i]?.[j + 1] ?? 0)) {
      if (a !== undefined) theirs.push(a);
      i += 1;
    } else {
      ours.push(b);
      j += 1;
    }
  }
  return [...pairs, ...pairByType(theirs, ours)];
}

function pairByType(theirs: readonly PlainFrame[], ours: readonly PlainFrame[]): Pair[] {
  const left = [...ours];
  const pairs = theirs.map((frame): Pair => {
    const index = left.findIndex(({ type }) => type === frame.type);
    return [frame, index === -1 ? undefined : left.splice(index, 1)[0]];
  });
  return [...pairs, ...left.map((frame): Pair => [undefined, frame])];
}

function measureCommon(a: readonly PlainFrame[], b: readonly PlainFrame[]): number[][] {
  const lengths = Array.from({ length: a.length + 1 }, () => Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = lengths[i];
      if (row === undefined) continue;
      const skipped = Math.max(lengths[i + 1]?.[j] ?? 0, row[j + 1] ?? 0);
      row[j] = isDeepStrictEqual(a[i], b[j]) ? 1 + (lengths[i + 1]?.[j + 1] ?? 0) : skipped;
    }
  }
  return lengths;
}
