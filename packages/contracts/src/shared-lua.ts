/** Where the Lua is that scripts of several rooms include. In a build: where it would be (it is among the sources). */
export const SHARED_LUA = new URL('./lua/includes', import.meta.url);
