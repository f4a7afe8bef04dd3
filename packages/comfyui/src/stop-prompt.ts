import { AttemptStopped, goesOnElsewhere, Stopped } from '@tiercel/routing';
import { cancelPrompt, type CancelServer } from './cancel-prompt.ts';
import type { Ending } from './prompt-ending.ts';
import type { RunServer } from './run-server.ts';

/**
 * Does with a prompt what the reason for stopping its run asks for. After a shutdown, or when the
 * claim is lost, it goes on there for the run that has the job next. Out of the tier's time, or outrun, the job goes on elsewhere and does not wait for this server.
 * @returns the stop as the server told it; undefined when it told nothing
 */
export async function stopPrompt(
  server: Pick<RunServer, keyof CancelServer | 'abandon'>,
  id: string,
  { reason, ended }: { readonly reason: unknown; readonly ended: Promise<Ending> },
): Promise<AttemptStopped | undefined> {
  if (!(reason instanceof Stopped)) {
    server.abandon();
    return undefined;
  }
  if (goesOnElsewhere({ reason })) return undefined;
  const cancelled = await cancelPrompt(server, id, ended);
  if (cancelled === 'unconfirmed') server.abandon();
  if (typeof cancelled !== 'object' || cancelled.kind !== 'failed') return undefined;
  return cancelled.error instanceof AttemptStopped ? cancelled.error : undefined;
}
