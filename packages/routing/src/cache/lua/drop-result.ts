import { lua } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_RESULTS } from './result-parts.ts';

/** Drops a value that proved useless; one that was stored in its place meanwhile stays. */
export const dropResultScript = new RedisScript({
  name: 'drop-result',
  args: ['prefix', 'hash', 'value'],
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2] hash    of the request
-- ARGV[3] value
${LUA_RESULTS}
if value_of(hash) == value then drop(hash) end
`,
  parse: () => undefined,
});
