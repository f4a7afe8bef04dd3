import {
  startFakeCloudflare,
  startFakeOpenAi,
  startFakeTurbo,
  type FakeFault,
  type FakeService,
} from '@tiercel/testkit';

export type VendorCommand =
  | {
      readonly step: 'start';
      readonly vendor: keyof typeof VENDORS;
      readonly latencyMs: number;
    }
  /** What it does wrong from now on; null: nothing. */
  | { readonly step: 'fail'; readonly fault: FakeFault | null };

/** Of the models that OpenAI's API ever had the one that paints 256x256: nothing has to be scaled. */
export const OPENAI_MODEL = 'dall-e-2';

const VENDORS = {
  openai: (latencyMs: number) => startFakeOpenAi({ latencyMs, models: [OPENAI_MODEL] }),
  cloudflare: (latencyMs: number) => startFakeCloudflare({ latencyMs }),
  turbo: (latencyMs: number) => startFakeTurbo({ latencyMs }),
};

let service: FakeService | undefined;

/** A stand-in for an image service, one in a process. Resolves with its URL. */
export async function serveVendor(command: VendorCommand): Promise<string> {
  if (command.step === 'start') service = await VENDORS[command.vendor](command.latencyMs);
  else service?.setFault(command.fault ?? undefined);
  return service?.url ?? '';
}
