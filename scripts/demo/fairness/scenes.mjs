/** A second of run time for a flood, less for whoever comes now and then. */
const FLOOD_MS = 300;
const LIGHT_MS = 150;

/** What happens, in its order. `act` begins a scene; `words` says what is to be seen. */
export function createFairnessScenes(system, light) {
  return [
    {
      title: 'one tenant floods the queue',
      words: 'It is alone, so all workers are its own.',
      lastsMs: 4_000,
      act: async () => {
        system.addTenant('flood', { weight: 1 });
        for (let n = 0; n < 400; n += 1) await system.addJob('flood', FLOOD_MS);
      },
    },
    {
      title: 'others come',
      words: 'light sends one job a second: it waits for the next free worker, not for the flood.',
      lastsMs: 6_000,
      act: () => {
        system.addTenant('light', { weight: 1 });
        light.start(() => system.addJob('light', LIGHT_MS), 1_000);
      },
    },
    {
      title: 'a second tenant floods, with larger jobs',
      words: 'Shares go by what jobs cost, not by how many they are: half of the run time each.',
      lastsMs: 8_000,
      act: async () => {
        system.addTenant('large', { weight: 1 });
        for (let n = 0; n < 100; n += 1) await system.addJob('large', 3 * FLOOD_MS);
      },
    },
    {
      title: 'the operator gives large four times the weight',
      words: 'It applies to what waits already: four fifths of the run time from now on.',
      lastsMs: 8_000,
      act: () => system.setLimits('large', { weight: 4 }),
    },
    {
      title: 'the operator caps flood at one running job',
      words: 'Whoever stands at a limit makes nobody else wait.',
      lastsMs: 5_000,
      act: () => system.setLimits('flood', { weight: 1, maxRunning: 1 }),
    },
    {
      title: 'a worker is killed',
      words: 'Its job runs again on another; the shares stay.',
      lastsMs: 6_000,
      act: () => system.killWorker(),
    },
  ];
}
