import { isJsonObject, parseJson, type RedisNames } from '@tiercel/contracts';
import type { Redis } from '@tiercel/runtime';
import type { ControlMessage } from './control.ts';
import { reportOverloadScript } from './lua/report-overload.ts';

/** Three times as long as processes take between two words. */
const KEPT_MS = 6_000;

interface Measured {
  readonly level: number;
  readonly lagMs: number;
  readonly queueAgeMs: number;
}

export interface OverloadedProcess extends Measured {
  /** Unique among the processes of the installation. */
  readonly process: string;
  readonly kind: 'api' | 'worker';
}

/** Which processes are overloaded now. Each writes its own word; nothing is there while all is well. */
export class OverloadBoard {
  readonly #redis: Redis;
  readonly #names: RedisNames;

  constructor(redis: Redis, names: RedisNames) {
    this.#redis = redis;
    this.#names = names;
  }

  /** An API is overloaded, or is no more (level 0): workers send it less, whose jobs it shows nobody knows. */
  async reportApi(process: string, measured: Measured): Promise<void> {
    const order: ControlMessage = { type: 'overload', process, level: measured.level };
    await this.#report({ ...measured, process, kind: 'api' }, JSON.stringify(order));
  }

  /** A worker is overloaded, or is no more (level 0). */
  async reportWorker(process: string, measured: Measured): Promise<void> {
    await this.#report({ ...measured, process, kind: 'worker' }, '');
  }

  async #report(
    { process, kind, level, lagMs, queueAgeMs }: OverloadedProcess,
    order: string,
  ): Promise<void> {
    const text = level === 0 ? '' : JSON.stringify({ kind, level, lagMs, queueAgeMs });
    const { prefix } = this.#names;
    await reportOverloadScript.run(this.#redis, { prefix, process, text, order, kept_ms: KEPT_MS });
  }

  /** Those that have said so lately, by name. */
  async read(): Promise<OverloadedProcess[]> {
    const [words, [seconds]] = await Promise.all([
      this.#redis.hgetall(this.#names.overload),
      this.#redis.time(),
    ]);
    const oldestMs = Number(seconds) * 1_000 - KEPT_MS;
    return Object.entries(words)
      .flatMap(([process, word]) => readWord(process, word, oldestMs))
      .sort((a, b) => (a.process < b.process ? -1 : 1));
  }
}

/** `<epoch ms> <JSON>`, as report-overload.lua writes it. */
function readWord(process: string, word: string, oldestMs: number): OverloadedProcess[] {
  const at = word.indexOf(' ');
  const said = parseJson(word.slice(at + 1));
  if (Number(word.slice(0, at)) < oldestMs || !isJsonObject(said)) return [];
  const { kind, level, lagMs, queueAgeMs } = said;
  if (kind !== 'api' && kind !== 'worker') return [];
  const [most, lag, age] = [level, lagMs, queueAgeMs].map(Number);
  return [{ process, kind, level: most ?? 0, lagMs: lag ?? 0, queueAgeMs: age ?? 0 }];
}
