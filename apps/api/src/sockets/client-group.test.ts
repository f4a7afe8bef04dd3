import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { plainNode, type EventLine, type EventMessage, type Preview } from '@tiercel/contracts';
import { ClientGroup } from './client-group.ts';
import type { SocketSession } from './socket-session.ts';

/**
 * What the end-to-end tests cannot hit at will: messages that come earlier or later than what is read of
 * the same events. A socket here only writes down what it is sent.
 */

class Recorder {
  readonly sent: string[] = [];
  readonly wantsReport = false;
  readonly wantsMetadata = false;
  closed: number | undefined;

  sendTogether(send: () => void): void {
    send();
  }
  sendText(frame: string, onFlushed?: () => void): void {
    this.sent.push((JSON.parse(frame) as { data: { t: string } }).data.t);
    onFlushed?.();
  }
  sendProgress(frame: string): void {
    this.sendText(frame);
  }
  sendPreview(): void {
    this.sent.push('preview');
  }
  close(code: number): void {
    this.closed = code;
  }
}

let group: ClientGroup;
let delivered: string[];

/** A socket as the group needs it. */
const open = () => {
  const recorder = new Recorder();
  return { recorder, session: recorder as unknown as SocketSession };
};

beforeEach(() => {
  delivered = [];
  group = new ClientGroup({
    onEndDelivered: (promptId) => delivered.push(promptId),
    onPictureDelivered: () => undefined,
    maxBacklogCharacters: 10_000,
  });
});

afterEach(() => {
  jest.useRealTimers();
});

const frame = (t: string, type = 'executed') => `{"type":"${type}","data":{"t":"${t}"}}`;
const line = (id: string, t: string): EventLine => ({ id, frame: frame(t) });
const event = (promptId: string, id: string, t: string): EventMessage => ({
  ...{ promptId, terminal: false, endId: undefined, lines: [line(id, t)] },
});
const end = (promptId: string, endId: string, id: string): EventMessage => ({
  ...{ promptId, terminal: true, endId, lines: [line(id, `${promptId} over`)] },
});
const nothing = (endId = '0-0') => ({ running: [], ended: [], endId });

function openLive() {
  const { recorder, session } = open();
  group.join(session);
  group.catchUp(session, nothing());
  return { recorder, session };
}

const missed = (
  promptId: string,
  endId: string | undefined,
  lines: EventLine[],
  over?: string,
) => ({
  ...{ promptId, endId, lines, preview: undefined },
  end: over === undefined ? [] : [line(over, `${promptId} over`)],
});

describe('a socket that joins', () => {
  test('is told of an end once, in the snapshot, whenever its messages come', () => {
    const { recorder, session } = open();
    group.join(session);
    group.onEvents(event('x', '3-0.0', 'x shown'));
    const ended = [{ promptId: 'x', pictures: [], frames: [frame('x shown'), frame('x over')] }];
    group.catchUp(session, { running: [], ended, endId: '9-0' });
    group.onEvents(event('x', '4-0.0', 'x late'));
    group.onEvents(end('x', '8-0', '5-0.0'));
    expect(recorder.sent).toEqual(['x shown', 'x over']);
    expect(delivered).toEqual(['x']);
  });

  test('is told live of an end that the snapshot did not have, although it is older than that', () => {
    const { recorder, session } = open();
    group.join(session);
    // Another process has told another socket of the client, so it is on no list any more.
    group.catchUp(session, nothing('9-0'));
    group.onEvents(event('x', '4-0.0', 'x shown'));
    group.onEvents(end('x', '8-0', '5-0.0'));
    expect(recorder.sent).toEqual(['x shown', 'x over']);
  });

  test('is not told twice of what the state of a running job has', () => {
    const { recorder, session } = open();
    group.join(session);
    group.onEvents(event('x', '3-0.0', 'old'));
    const state = { executing: frame('now'), progressState: undefined, preview: undefined };
    const running = [{ promptId: 'x', pictures: [], state: { ...state, lastId: '3-0.9' } }];
    group.catchUp(session, { running, ended: [], endId: '0-0' });
    group.onEvents(event('x', '3-0.1', 'late'));
    group.onEvents(event('x', '4-0.0', 'new'));
    // The state may have been read when the job had ended already: its end is told all the same.
    group.onEvents(end('x', '1-0', '3-0.5'));
    expect(recorder.sent).toEqual(['now', 'new', 'x over']);
  });
});

describe('a gap', () => {
  test('is filled in the order of events, what was received after it comes behind, nothing twice', () => {
    const { recorder } = openLive();
    group.onEvents(event('x', '1-0.0', 'a'));
    group.fallBehind();
    // 2 is lost; 3 and the end of y are heard before the gap is filled.
    group.onEvents(event('x', '3-0.0', 'c'));
    group.onEvents(event('y', '7-0.0', 'y shown'));
    group.onEvents(end('y', '20-0', '8-0.0'));
    expect(recorder.sent).toEqual(['a']);
    expect(group.lastIdOf('x')).toBe('1-0.0');
    group.sendMissed(missed('w', '10-0', [], '5-0.0'));
    group.sendMissed(missed('y', '20-0', [line('7-0.0', 'y shown')], '8-0.0'));
    group.sendMissed(missed('x', undefined, [line('2-0.0', 'b'), line('3-0.0', 'c')]));
    group.resume();
    group.onEvents(event('x', '4-0.0', 'd'));
    expect(recorder.sent).toEqual(['a', 'w over', 'y shown', 'y over', 'b', 'c', 'd']);
    expect(delivered).toEqual(['w', 'y']);
  });

  test('that comes again while it is filled is filled once', () => {
    const { recorder } = openLive();
    group.fallBehind();
    group.sendMissed(missed('w', '10-0', [], '5-0.0'));
    group.onEvents(end('v', '11-0', '6-0.0'));
    group.fallBehind();
    // Read anew from the start, with what was lost meanwhile.
    group.sendMissed(missed('w', '10-0', [], '5-0.0'));
    group.sendMissed(missed('v', '11-0', [], '6-0.0'));
    group.sendMissed(missed('u', '12-0', [], '7-0.0'));
    group.resume();
    expect(recorder.sent).toEqual(['w over', 'v over', 'u over']);
  });

  test('does not tell again what was told live before it, or in the snapshot of a new socket', () => {
    const { recorder } = openLive();
    group.onEvents(end('w', '10-0', '5-0.0'));
    const late = open();
    group.join(late.session);
    group.catchUp(late.session, nothing('11-0'));
    group.fallBehind();
    group.sendMissed(missed('w', '10-0', [], '5-0.0'));
    group.sendMissed(missed('v', '11-0', [], '6-0.0'));
    group.sendMissed(missed('u', '12-0', [], '7-0.0'));
    group.resume();
    expect(recorder.sent).toEqual(['w over', 'v over', 'u over']);
    // v had ended before it came.
    expect(late.recorder.sent).toEqual(['u over']);
  });

  test('that hides more than may wait closes the socket, whose client comes back', () => {
    const { recorder } = openLive();
    group.fallBehind();
    for (let n = 1; n < 100; n += 1) group.onEvents(event('x', `${n}-0.0`, 'z'.repeat(200)));
    expect(recorder.closed).toBe(1013);
  });
});

describe('all sockets together', () => {
  test('are told after a gap only what everybody is told of a job without a client', () => {
    group = new ClientGroup({
      ...{ onEndDelivered: () => undefined, onPictureDelivered: () => undefined },
      ...{ maxBacklogCharacters: 10_000, isEveryone: true },
    });
    const { recorder, session } = open();
    group.admit(session, { endId: '0-0', isBehind: false });
    group.fallBehind();
    group.sendMissed({
      ...{ promptId: 'x', endId: '5-0', preview: undefined },
      lines: [
        line('1-0.0', 'own'),
        { id: '2-0.0', frame: frame('bar', 'progress') },
        { id: '2-0.1', frame: frame('blocked', 'execution_error') },
      ],
      end: [
        { id: '3-0.2', frame: frame('failed', 'execution_error') },
        { id: '3-0.0', frame: frame('stopped', 'execution_interrupted') },
        line('3-0.1', 'own, too'),
      ],
    });
    group.resume();
    expect(recorder.sent).toEqual(['bar', 'blocked', 'stopped']);
  });
});

const preview = (promptId: string, change: Partial<Preview> = {}): Preview => ({
  ...{ promptId, node: plainNode('5'), mediaType: 'image/jpeg', forAll: true },
  bytes: Buffer.from('picture'),
  ...change,
});

describe('a preview', () => {
  test('goes with the next message of its job, the newest only', () => {
    const { recorder } = openLive();
    group.onPreview(preview('x'));
    group.onPreview(preview('x'));
    group.onEvents(event('y', '1-0.0', 'y'));
    expect(recorder.sent).toEqual(['y']);
    group.onEvents(event('x', '1-0.0', 'x'));
    group.onEvents(event('x', '2-0.0', 'x again'));
    expect(recorder.sent).toEqual(['y', 'x', 'preview', 'x again']);
  });

  test('that is text is told at once, but to nobody who has to catch up first', () => {
    const { recorder } = openLive();
    const late = open();
    group.join(late.session);
    group.onPreview(preview('x', { mediaType: 'text/plain' }));
    expect(recorder.sent).toEqual(['preview']);
    expect(late.recorder.sent).toEqual([]);
  });

  test('from before a gap is not told after it: it is old', () => {
    const { recorder } = openLive();
    group.onPreview(preview('x'));
    group.fallBehind();
    group.resume();
    group.onEvents(event('x', '1-0.0', 'x'));
    expect(recorder.sent).toEqual(['x']);
  });
});

describe('a job whose end was told from the records', () => {
  test('has its late messages passed over for ten seconds; then its id may be another job’s', () => {
    jest.useFakeTimers();
    const { recorder, session } = open();
    group.join(session);
    const ended = [{ promptId: 'x', pictures: [], frames: [frame('x over')] }];
    group.catchUp(session, { running: [], ended, endId: '9-0' });
    group.onEvents(event('x', '1-0.0', 'late'));
    jest.advanceTimersByTime(9_999);
    group.onEvents(event('x', '2-0.0', 'later'));
    jest.advanceTimersByTime(1);
    group.onEvents(event('x', '1-0.0', 'another'));
    expect(recorder.sent).toEqual(['x over', 'another']);
  });
});

test('sockets that cannot be brought up to date are closed, the others are not', () => {
  const { recorder } = openLive();
  group.fallBehind();
  const late = open();
  group.admit(late.session, { endId: '0-0', isBehind: false });
  group.closeBehind(1012, 'come back');
  expect([recorder.closed, late.recorder.closed]).toEqual([1012, undefined]);
});

test('one that has left is told nothing more; with the last one the group is empty', () => {
  const first = openLive();
  const second = openLive();
  group.leave(first.session);
  group.onEvents(event('x', '1-0.0', 'x'));
  expect([first.recorder.sent, second.recorder.sent]).toEqual([[], ['x']]);
  expect(group.isEmpty).toBe(false);
  group.leave(second.session);
  expect(group.isEmpty).toBe(true);
});

test('of so many jobs and no more it is remembered what was received of them last', () => {
  for (let n = 0; n <= 1_000; n += 1) group.onEvents(event(`job ${n}`, `${n + 1}-0.0`, 'x'));
  expect(group.lastIdOf('job 0')).toBeUndefined();
  expect(group.lastIdOf('job 1')).toBe('2-0.0');
  expect(group.lastIdOf('job 1000')).toBe('1001-0.0');
});
