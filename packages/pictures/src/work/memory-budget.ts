const MIB = 1024 * 1024;

/** A job, or a request, wants more memory than it may ever have. */
export class MemoryLimitError extends Error {
  constructor(wantedBytes: number, limitBytes: number, setting: string) {
    super(
      `The pictures need ${toMib(wantedBytes)} MiB of memory at once, more than the ${toMib(limitBytes)} MiB that ` +
        `one job may use here (its part of ${setting}). Use smaller or fewer pictures, or raise that setting.`,
    );
    this.name = 'MemoryError';
  }
}

interface Waiter {
  readonly account: MemoryAccount;
  readonly bytes: number;
  readonly resolve: () => void;
}

/**
 * The memory that pictures may take in a process, shared by its jobs. A job asks before it decodes or makes
 * something large, may ask again while it holds some, and waits while there is no room.
 *
 * Jobs that hold some and wait for more could wait for each other for ever. So a part of the budget is common: any
 * job takes from it what is free there. A job that finds too little there becomes the large one, of which there is one
 * at a time, and has the rest of the budget to itself: it always comes to its end, and then the next one in line is
 * the large one.
 */
export class MemoryBudget {
  readonly #maxBytes: number;
  readonly #commonBytes: number;
  readonly #setting: string;
  readonly #waiting: Waiter[] = [];
  #usedBytes = 0;
  #large: MemoryAccount | undefined;

  /**
   * @param options.commonShare the part of it that is common, 0 to 1
   * @param options.setting the setting that `maxBytes` comes from, for messages
   */
  constructor(options: { maxBytes: number; commonShare: number; setting: string }) {
    this.#maxBytes = options.maxBytes;
    this.#commonBytes = Math.floor(options.maxBytes * options.commonShare);
    this.#setting = options.setting;
  }

  /** The most that one job may hold. */
  get jobBytes(): number {
    return this.#maxBytes - this.#commonBytes;
  }

  /** What jobs hold now, in bytes. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The account of one job; to be closed at its end. */
  open(): MemoryAccount {
    return new MemoryAccount({
      reserve: (account, bytes, signal) => this.#reserve(account, bytes, signal),
      release: (account, bytes) => {
        this.#release(account, bytes);
      },
    });
  }

  async #reserve(
    account: MemoryAccount,
    bytes: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    signal?.throwIfAborted();
    const wanted = account.heldBytes + bytes;
    if (wanted > this.jobBytes) throw new MemoryLimitError(wanted, this.jobBytes, this.#setting);
    if (this.#isRoom(account, bytes)) {
      this.#grant(account, bytes);
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        ...{ account, bytes },
        resolve: () => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #isRoom(account: MemoryAccount, bytes: number): boolean {
    if (account === this.#large) return true;
    const common = this.#usedBytes - (this.#large?.heldBytes ?? 0);
    return common + bytes <= this.#commonBytes || this.#large === undefined;
  }

  #grant(account: MemoryAccount, bytes: number): void {
    account.heldBytes += bytes;
    this.#usedBytes += bytes;
    const common = this.#usedBytes - (this.#large?.heldBytes ?? 0);
    if (common > this.#commonBytes) this.#large ??= account;
  }

  #release(account: MemoryAccount, bytes: number): void {
    account.heldBytes -= bytes;
    this.#usedBytes -= bytes;
    const isSmallAgain = this.#usedBytes <= this.#commonBytes;
    if (this.#large?.heldBytes === 0 || isSmallAgain) this.#large = undefined;
    for (const waiter of [...this.#waiting]) {
      if (!this.#isRoom(waiter.account, waiter.bytes)) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      this.#grant(waiter.account, waiter.bytes);
      waiter.resolve();
    }
  }
}

/** What one job holds of a MemoryBudget. */
export class MemoryAccount {
  /** Bytes; changed by the budget only. */
  heldBytes = 0;
  readonly #budget: {
    reserve(account: MemoryAccount, bytes: number, signal?: AbortSignal): Promise<void>;
    release(account: MemoryAccount, bytes: number): void;
  };

  /** See MemoryBudget.open. */
  constructor(budget: {
    reserve(account: MemoryAccount, bytes: number, signal?: AbortSignal): Promise<void>;
    release(account: MemoryAccount, bytes: number): void;
  }) {
    this.#budget = budget;
  }

  /**
   * Waits until there is room for so many bytes more.
   * @throws MemoryLimitError when one job may never hold that much; the reason of the signal
   */
  reserve(bytes: number, signal?: AbortSignal): Promise<void> {
    return this.#budget.reserve(this, Math.ceil(bytes), signal);
  }

  /**
   * Brings what is held to the number of bytes that the job really has: gives back the rest, or waits for more.
   * @throws as reserve
   */
  async settle(bytes: number, signal?: AbortSignal): Promise<void> {
    if (bytes <= this.heldBytes) this.#budget.release(this, this.heldBytes - bytes);
    else await this.reserve(bytes - this.heldBytes, signal);
  }

  close(): void {
    this.#budget.release(this, this.heldBytes);
  }
}

function toMib(bytes: number): string {
  return Math.ceil(bytes / MIB).toLocaleString('en-US');
}
