import { RedisScript } from '@tiercel/runtime';

/** Sets what an administrator says of one thing, or takes it back; every process is told. */
export const setPolicyScript = new RedisScript({
  wrapper: import.meta.url,
  keys: ['set'],
  args: ['prefix', 'kind', 'name', 'value', 'who', 'from', 'audit_max'],
  parse: String,
});
