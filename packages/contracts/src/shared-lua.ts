/**
 * Where the Lua is that scripts of several rooms include. In a build: where it would be (it is among the sources).
 * A function, because code that includes no Lua is bundled too, and a bundle has no place of its own to start from.
 */
export function sharedLuaFolder(): URL {
  return new URL('./lua/includes', import.meta.url);
}
