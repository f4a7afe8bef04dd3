import { expect, test } from '@jest/globals';
import { normalNumbers } from './torch-random.ts';

/** `torch.randn(count, generator=torch.manual_seed(seed))` of torch 1.13 on a CPU: the first two and the last two. */
test.each<[seed: number | bigint, count: number, ends: readonly number[]]>([
  [42, 32, [1.9269, 1.4873, -0.2516, 0.8599]],
  [42, 37, [1.9269, 1.4873, 2.2667, 1.179]],
  [2n ** 63n + 5n, 1000, [1.8423, 0.5189, -0.1192, 0.1088]],
])('seed %s gives the %s numbers that torch gives', (seed, count, ends) => {
  const numbers = new Float32Array(count);
  let at = 0;
  for (const block of normalNumbers(seed, count)) {
    at = Math.min(at, count - block.length);
    numbers.set(block, at);
    at += block.length;
  }
  const [first = 0, second = 0] = numbers;
  const found = [first, second, ...numbers.subarray(-2)];
  found.forEach((number, i) => {
    expect(number).toBeCloseTo(ends[i]!, 3);
  });
});
