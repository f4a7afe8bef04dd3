/**
 * Marks a template as Lua, for readers and editors. Backslashes stay as they are.
 *
 * Scripts stand in TypeScript files, each beside its typed wrapper, and not in files of their own: so they reach
 * `dist` with a plain `tsc -b`, are the same in tests, benches and images, and include one another by imports
 * that the compiler checks (docs/adr/0014).
 */
export const lua = String.raw;

/** Defines `now`, Redis' own time in ms: the only clock that all machines share. */
export const LUA_NOW = lua`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;
