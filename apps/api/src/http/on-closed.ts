import type { ServerResponse } from 'node:http';

/**
 * Calls `then` when an answer has been handed to the operating system, or can no longer be: once, and at once when
 * that has happened already. (`close` alone has been and gone when a caller hangs up during an await; and an answer
 * that waits behind another one of its connection is never told that the connection is gone.)
 */
export function onClosed(res: ServerResponse, then: () => void): void {
  const { socket } = res.req;
  if (res.closed || socket.destroyed) {
    then();
    return;
  }
  const done = () => {
    res.off('close', done);
    socket.off('close', done);
    then();
  };
  res.once('close', done);
  socket.once('close', done);
}

/** Aborted when the caller can no longer be answered. */
export function goneSignal(res: ServerResponse): AbortSignal {
  const gone = new AbortController();
  onClosed(res, () => {
    gone.abort();
  });
  return gone.signal;
}
