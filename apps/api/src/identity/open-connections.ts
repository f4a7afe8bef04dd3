import type { Authenticator, ChangeWatch, Identity, PolicyStore } from '@tiercel/accounts';
import { CoalescedRefresh, startTimer, type Logger } from '@tiercel/runtime';

export interface OpenConnectionsParts {
  readonly authenticator: Pick<Authenticator, 'isGood'>;
  readonly watch: ChangeWatch;
  readonly policy: Pick<PolicyStore, 'isBlocked' | 'onChange'>;
  readonly log: Logger;
}

interface Holder {
  readonly identity: Identity;
  readonly closers: Set<() => void>;
  expiry: NodeJS.Timeout | undefined;
}

const RETRY_MS = 250;
/** A clock that was put right meanwhile is waited for in small steps. */
const SOONEST_MS = 20;

/**
 * What is open in whose name: sockets, event streams, answers under way. When keys or tenants change, each credential
 * that holds something open is checked again; when one expires, a timer does it. What is no longer good is closed.
 */
export class OpenConnections {
  readonly #parts: OpenConnectionsParts;
  readonly #holders = new Map<string, Holder>();
  readonly #check: CoalescedRefresh;
  readonly #stops: (() => void)[];

  constructor(parts: OpenConnectionsParts) {
    this.#parts = parts;
    this.#check = new CoalescedRefresh(() => this.#checkAll());
    const check = (): void => {
      void this.#check.run();
    };
    this.#stops = [parts.watch.onChange('keys', check), parts.policy.onChange(check)];
  }

  /**
   * @param close called when the identity is no longer good
   * @returns to be called when the connection has ended by itself
   */
  hold(identity: Identity, close: () => void): () => void {
    const id = JSON.stringify([identity.credentialId, identity.tenant]);
    const holder = this.#holders.get(id) ?? this.#add(id, identity);
    holder.closers.add(close);
    return () => {
      holder.closers.delete(close);
      if (holder.closers.size === 0) this.#remove(id, holder);
    };
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    for (const { expiry } of this.#holders.values()) clearTimeout(expiry);
  }

  #add(id: string, identity: Identity): Holder {
    const holder: Holder = { identity, closers: new Set(), expiry: undefined };
    this.#holders.set(id, holder);
    this.#awaitExpiry(holder);
    return holder;
  }

  #remove(id: string, holder: Holder): void {
    clearTimeout(holder.expiry);
    if (this.#holders.get(id) === holder) this.#holders.delete(id);
  }

  #awaitExpiry(holder: Holder): void {
    const { expiresAt } = holder.identity;
    if (expiresAt === undefined) return;
    const leftMs = expiresAt - this.#parts.watch.nowMs();
    holder.expiry = startTimer(
      () => {
        if (expiresAt <= this.#parts.watch.nowMs()) closeAll(holder);
        else this.#awaitExpiry(holder);
      },
      Math.max(SOONEST_MS, leftMs),
    );
  }

  async #checkAll(): Promise<void> {
    try {
      for (const holder of [...this.#holders.values()]) {
        if (!(await this.#isGood(holder.identity))) closeAll(holder);
      }
    } catch (error) {
      // Redis is away: what is open stays so until it can be asked.
      this.#parts.log.debug({ err: error }, 'open connections could not be checked');
      setTimeout(() => void this.#check.run(), RETRY_MS).unref();
    }
  }

  async #isGood(identity: Identity): Promise<boolean> {
    if (this.#parts.policy.isBlocked(identity.tenant)) return false;
    return await this.#parts.authenticator.isGood(identity);
  }
}

function closeAll({ closers }: Holder): void {
  for (const close of [...closers]) close();
}
