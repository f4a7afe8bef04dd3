import { describe, expect, test } from '@jest/globals';
import { StatusBroadcaster, statusFrame } from './status-broadcaster.ts';

function createBroadcaster(sockets: string[][]): StatusBroadcaster<string[]> {
  return new StatusBroadcaster({
    intervalMs: () => 60_000,
    sockets: () => sockets,
    send: (socket, frame) => socket.push(frame.toString()),
  });
}

describe('StatusBroadcaster', () => {
  test('tells a change at once, and the next only after the interval', () => {
    const socket: string[] = [];
    const broadcaster = createBroadcaster([socket]);
    broadcaster.update(1);
    broadcaster.update(0);
    broadcaster.stop();
    expect(socket).toEqual([statusFrame(1)]);
  });

  test('a change while nobody was connected does not hold back the first one that somebody hears', () => {
    const sockets: string[][] = [];
    const broadcaster = createBroadcaster(sockets);
    broadcaster.update(0);
    const socket: string[] = [];
    sockets.push(socket);
    broadcaster.update(1);
    broadcaster.stop();
    expect(socket).toEqual([statusFrame(1)]);
  });
});
