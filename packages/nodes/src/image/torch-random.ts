/**
 * The random numbers of torch on a CPU, so that a seed gives the same noise here: the Mersenne Twister mt19937
 * (Matsumoto and Nishimura, 1998), its numbers made normal by Box and Muller's method, sixteen at a time.
 */

const STATE_WORDS = 624;
const SHIFT_WORDS = 397;
const UNIT_BITS = 24;
const BLOCK = 16;

/** @param seed of its 64 bits the lower 32 count */
function createTwister(seed: number | bigint): () => number {
  const state = new Uint32Array(STATE_WORDS);
  state[0] = Number(BigInt.asUintN(32, BigInt(seed)));
  for (let i = 1; i < STATE_WORDS; i += 1) {
    const last = state[i - 1] ?? 0;
    state[i] = Math.imul(1_812_433_253, last ^ (last >>> 30)) + i;
  }
  let next = STATE_WORDS;
  const twist = () => {
    for (let i = 0; i < STATE_WORDS; i += 1) {
      const word =
        ((state[i] ?? 0) & 0x80000000) | ((state[(i + 1) % STATE_WORDS] ?? 0) & 0x7fffffff);
      state[i] =
        (state[(i + SHIFT_WORDS) % STATE_WORDS] ?? 0) ^
        (word >>> 1) ^
        ((word & 1) === 1 ? 0x9908b0df : 0);
    }
    next = 0;
  };
  return () => {
    if (next === STATE_WORDS) twist();
    let word = state[next++] ?? 0;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  };
}

/**
 * What `torch.randn` gives for a manual seed, number after number. torch makes at least sixteen in another way than
 * fewer: only as many are made here.
 * @param count how many there are in all, at least 16
 */
export function* normalNumbers(seed: number | bigint, count: number): Generator<Float32Array> {
  const next = createTwister(seed);
  const draw = () => (next() & (2 ** UNIT_BITS - 1)) / 2 ** UNIT_BITS;
  const isWhole = count % BLOCK === 0;
  const uniform = Float32Array.from({ length: BLOCK }, () => 0);
  // All uniform numbers are drawn first; of a last part that is none of sixteen, the last sixteen are drawn again.
  const blocks = Math.floor(count / BLOCK);
  for (let block = 0; block < blocks; block += 1) {
    for (let i = 0; i < BLOCK; i += 1) uniform[i] = draw();
    yield toNormal(uniform);
  }
  if (isWhole) return;
  for (let i = blocks * BLOCK; i < count; i += 1) draw();
  for (let i = 0; i < BLOCK; i += 1) uniform[i] = draw();
  yield toNormal(uniform);
}

function toNormal(uniform: Float32Array): Float32Array {
  const normal = new Float32Array(BLOCK);
  const half = BLOCK / 2;
  for (let i = 0; i < half; i += 1) {
    const radius = Math.sqrt(-2 * Math.log(1 - (uniform[i] ?? 0)));
    const angle = 2 * Math.PI * (uniform[i + half] ?? 0);
    normal[i] = radius * Math.cos(angle);
    normal[i + half] = radius * Math.sin(angle);
  }
  return normal;
}
