export const ROLES = ['user', 'internal', 'admin'] as const;
/**
 * What a caller may do besides using the service for his tenant. `internal` is not limited, but never ahead of what
 * runs already; `admin` may do everything.
 */
export type Role = (typeof ROLES)[number];

export function isRole(value: unknown): value is Role {
  return ROLES.includes(value as Role);
}

/** Whose all jobs and files are in `auth.mode: open`, and all of earlier versions. */
export const DEFAULT_TENANT = 'default';

/** The pool of workers that name none. */
export const DEFAULT_POOL = 'default';

/** Who asks. */
export interface Caller {
  /** Whose jobs, files and usage these are. Without identity `ip:<address>`, of IPv6 the first 64 bits. */
  readonly tenant: string;
  /** Name of the plan that the identity gives; undefined: nothing is limited. */
  readonly plan: string | undefined;
  readonly role: Role;
  /** Of the API key, when one was sent. */
  readonly keyId?: string;
  /** Where the request comes from: an IP address, as far as trusted proxies tell it. */
  readonly address: string;
}

/** Everybody in `auth.mode: open`; each request has its own address. */
export const OPEN_CALLER: Caller = {
  tenant: DEFAULT_TENANT,
  plan: undefined,
  role: 'admin',
  address: '',
};

/** The plan of callers without identity. */
export const ANONYMOUS_PLAN = 'anonymous';

/** Start of the tenant of a caller without identity; no key and no token may name such a one. */
export const ADDRESS_TENANT = 'ip:';

const TENANT = /^(?!ip:)[^\p{C}\p{Zl}\p{Zp}]{1,128}$/u;

/** Whether a key or a token may name this tenant: 1 to 128 printable characters that do not begin with `ip:`. */
export function isTenantName(text: string): boolean {
  return TENANT.test(text) && text.trim() === text;
}
