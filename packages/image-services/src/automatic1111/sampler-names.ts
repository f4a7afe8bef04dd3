/** ComfyUI's samplers by the names that Automatic1111 (since 1.9) knows them by; others it does not have. */
const SAMPLERS: Readonly<Record<string, string>> = {
  euler: 'Euler',
  euler_ancestral: 'Euler a',
  heun: 'Heun',
  dpm_2: 'DPM2',
  dpm_2_ancestral: 'DPM2 a',
  lms: 'LMS',
  dpm_fast: 'DPM fast',
  dpm_adaptive: 'DPM adaptive',
  dpmpp_2s_ancestral: 'DPM++ 2S a',
  dpmpp_sde: 'DPM++ SDE',
  dpmpp_sde_gpu: 'DPM++ SDE',
  dpmpp_2m: 'DPM++ 2M',
  dpmpp_2m_sde: 'DPM++ 2M SDE',
  dpmpp_2m_sde_gpu: 'DPM++ 2M SDE',
  dpmpp_2m_sde_heun: 'DPM++ 2M SDE Heun',
  dpmpp_2m_sde_heun_gpu: 'DPM++ 2M SDE Heun',
  dpmpp_3m_sde: 'DPM++ 3M SDE',
  dpmpp_3m_sde_gpu: 'DPM++ 3M SDE',
  lcm: 'LCM',
  ddim: 'DDIM',
  uni_pc: 'UniPC',
  uni_pc_bh2: 'UniPC',
};

/** What one sampler of ComfyUI is a setting of the server for; its default is the other one. */
const SETTINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  uni_pc_bh2: { uni_pc_variant: 'bh2' },
};

const SCHEDULERS: Readonly<Record<string, string>> = {
  normal: 'Normal',
  karras: 'Karras',
  exponential: 'Exponential',
  simple: 'Simple',
  sgm_uniform: 'SGM Uniform',
  ddim_uniform: 'DDIM',
  beta: 'Beta',
  kl_optimal: 'KL Optimal',
};

/** @param name ComfyUI's; undefined where Automatic1111 has no such sampler */
export function toA1111Sampler(name: string): string | undefined {
  return SAMPLERS[name];
}

/** @param name ComfyUI's; undefined where Automatic1111 has no such scheduler */
export function toA1111Scheduler(name: string): string | undefined {
  return SCHEDULERS[name];
}

/** @param name ComfyUI's; undefined where the sampler's name says all */
export function findSamplerSettings(name: string): Readonly<Record<string, string>> | undefined {
  return SETTINGS[name];
}
