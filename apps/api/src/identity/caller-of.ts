import type { Caller } from '@tiercel/contracts';
import type { Response } from 'express';

/** Who asks: known to every handler of a route, because the gate comes before it. */
export function callerOf(res: Response): Caller {
  const { caller } = res.locals as { caller?: Caller };
  if (caller === undefined) throw new Error('nobody has said who asks');
  return caller;
}
