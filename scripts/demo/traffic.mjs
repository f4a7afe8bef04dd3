import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';

const EVERY_MS = 250;
/** With more than this under way no further job is sent: a slow machine must not drown in its own demo. */
const MAX_UNDER_WAY = 24;
const RECENT = 20;
const FINISH_TIMEOUT_MS = 30_000;

/**
 * A client that sends small text-to-image jobs, hears on its WebSocket when they end, and then reads their
 * reports from /api/jobs/{id}.
 */
export async function startTraffic(url) {
  const clientId = `demo-${randomUUID()}`;
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws?clientId=${clientId}`);
  const waiting = new Map();
  socket.on('message', (bytes, isBinary) => {
    if (isBinary) return;
    const { type, data } = JSON.parse(bytes.toString());
    if (type === 'executing' && data.node === null) waiting.get(data.prompt_id)?.();
  });
  socket.on('close', () => {
    traffic.problems.push('the WebSocket was closed');
  });
  await once(socket, 'open');

  let isPaused = true;
  const traffic = {
    sent: 0,
    underWay: 0,
    succeeded: 0,
    /** Jobs that ended otherwise. */
    failed: [],
    /** What must not happen: no answer to a prompt, a report that cannot be read. */
    problems: [],
    served: new Map(),
    /** The last ended jobs, newest last. */
    recent: [],
    /** One job more; resolves with what became of it. */
    runOne: (text) => run(text),
    resume: () => {
      isPaused = false;
    },
    /** No more jobs until `resume`; resolves when none is under way. */
    pause: async () => {
      isPaused = true;
      await waitUntilIdle();
    },
    /** Sends no more and waits for the rest; what has not ended then is lost. */
    finish: async () => {
      clearInterval(timer);
      await waitUntilIdle();
    },
    /** How many jobs the API says have ended. */
    countEnded: async () => {
      const answer = await fetch(`${url}/api/jobs?status=completed,failed,cancelled&limit=1`);
      return (await answer.json()).pagination.total;
    },
  };
  const timer = setInterval(() => {
    if (isPaused || traffic.underWay >= MAX_UNDER_WAY) return;
    void run('a lighthouse at dusk');
  }, EVERY_MS);

  async function run(text) {
    const id = randomUUID();
    const number = (traffic.sent += 1);
    traffic.underWay += 1;
    try {
      const startedAt = performance.now();
      const ended = new Promise((resolve) => waiting.set(id, resolve));
      const body = JSON.stringify({ prompt_id: id, client_id: clientId, prompt: describe(text) });
      const answer = await fetch(`${url}/prompt`, { method: 'POST', body });
      if (!answer.ok) throw new Error(`POST /prompt answered ${answer.status}`);
      await ended;
      const ms = performance.now() - startedAt;
      const found = await (await fetch(`${url}/api/jobs/${id}`)).json();
      return note({ number, ms, job: found, report: found.tiercel });
    } catch (error) {
      traffic.problems.push(`job ${number}: ${error.message}`);
      return undefined;
    } finally {
      waiting.delete(id);
      traffic.underWay -= 1;
    }
  }

  function note(end) {
    const { job, report } = end;
    if (job.status === 'completed') {
      const { tier } = report.served_by;
      traffic.succeeded += 1;
      traffic.served.set(tier, (traffic.served.get(tier) ?? 0) + 1);
    } else {
      traffic.failed.push(end);
    }
    traffic.recent = [...traffic.recent, end].slice(-RECENT);
    return end;
  }

  async function waitUntilIdle() {
    const endsAt = Date.now() + FINISH_TIMEOUT_MS;
    while (traffic.underWay > 0 && Date.now() < endsAt) await sleep(50);
  }

  return traffic;
}

/** The usual graph, with a seed of its own: no stored result answers it. */
function describe(text) {
  return {
    1: {
      class_type: 'CheckpointLoaderSimple',
      inputs: { ckpt_name: 'v1-5-pruned-emaonly.safetensors' },
    },
    2: { class_type: 'CLIPTextEncode', inputs: { clip: ['1', 1], text } },
    3: { class_type: 'CLIPTextEncode', inputs: { clip: ['1', 1], text: 'blurry' } },
    4: { class_type: 'EmptyLatentImage', inputs: { width: 256, height: 256, batch_size: 1 } },
    5: {
      class_type: 'KSampler',
      inputs: {
        ...{ model: ['1', 0], positive: ['2', 0], negative: ['3', 0], latent_image: ['4', 0] },
        ...{ seed: randomInt(2 ** 32), steps: 4, cfg: 1.5, denoise: 1 },
        ...{ sampler_name: 'euler', scheduler: 'normal' },
      },
    },
    6: { class_type: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
    7: { class_type: 'SaveImage', inputs: { images: ['6', 0], filename_prefix: 'demo' } },
  };
}
