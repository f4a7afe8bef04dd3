import { lua, LUA_NOW } from '@tiercel/contracts';
import { RedisScript } from '@tiercel/runtime';
import { LUA_TIERS } from './tier-parts.ts';

/** A tier as Redis has it. */
export interface TierRow {
  /** Until the pause of its breaker ends, negative after that; undefined when the breaker is closed. */
  readonly openForMs: number | undefined;
  readonly probing: boolean;
  readonly reason: string;
  readonly running: number;
  readonly waiting: number;
  readonly recentMs: readonly number[];
}

/** The state of several tiers, at one moment. */
export const readTiersScript = new RedisScript({
  name: 'read-tiers',
  args: ['prefix'],
  list: 'tiers',
  lua: lua`
-- ARGV[1] prefix
-- ARGV[2..] tiers  names
-- Returns for each: ms until its pause ends ('' when closed), probing (0|1), reason, running, waiting, recent ms
${LUA_NOW}
${LUA_TIERS}
local found = {}
for _, tier in ipairs(tiers) do
  local running = count_live(tier_running_key(tier))
  local waiting = count_live(tier_waiting_key(tier))
  local open_until, reason = unpack(redis.call('HMGET', tier_key(tier), 'open_until', 'reason'))
  local open_for = open_until and string.format('%.0f', open_until - now) or ''
  found[#found + 1] = {
    open_for, is_probing(tier) and 1 or 0, reason or '', running, waiting,
    redis.call('LRANGE', tier_ms_key(tier), 0, -1),
  }
end
return found
`,
  parse: (reply): readonly TierRow[] =>
    (reply as [string, number, string, number, number, string[]][]).map(
      ([openFor, probing, reason, running, waiting, samples]) => ({
        openForMs: openFor === '' ? undefined : Number(openFor),
        probing: probing === 1,
        ...{ reason, running, waiting },
        recentMs: samples.map(Number),
      }),
    ),
});
