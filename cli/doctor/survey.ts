import { BACKEND_CHOICES, prepareBackend, type BackendInfo, type BackendName } from '../../lib/backend';
import { BackendError } from '../../lib/errors';

/** One backend, whether it works, and on what device. */
export interface BackendPresence {
  readonly name: BackendName;
  readonly state: 'ready' | 'wrong numbers' | 'not available';
  /** Whether `auto` chooses this one. */
  readonly automatic: boolean;
  /** The device; where the backend is not ready, why, and what to do. */
  readonly detail: string;
  /** Whether it uses a GPU. */
  readonly gpu: boolean;
}

/** Starts one backend after the other, and reports on each. The last one started stays current. */
export async function surveyBackends(verbose: boolean): Promise<BackendPresence[]> {
  const automatic = await prepareBackend('auto', { verbose });
  const presences: BackendPresence[] = [];
  for (const name of BACKEND_CHOICES) {
    if (name === 'auto') continue;
    const found = await prepared(name, verbose);
    const of = { name, automatic: name === automatic.name };
    if (found instanceof BackendError)
      presences.push({ ...of, state: 'not available', detail: found.message, gpu: false });
    else if (found.name !== name)
      presences.push({ ...of, state: 'wrong numbers', detail: found.warning ?? '', gpu: false });
    else presences.push({ ...of, state: 'ready', detail: detailOf(found), gpu: found.gpu });
  }
  return presences;
}

async function prepared(name: BackendName, verbose: boolean): Promise<BackendInfo | BackendError> {
  try {
    return await prepareBackend(name, { verbose });
  } catch (error) {
    if (error instanceof BackendError) return error;
    throw error;
  }
}

function detailOf({ name, tensorflowVersion, device, selfCheck, threads, simd, warning }: BackendInfo): string {
  const check =
    selfCheck === null ? [] : [`self-check passed (largest difference ${selfCheck.largestDifference.toPrecision(2)})`];
  const threaded = `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  switch (name) {
    case 'tensorflow':
      return [
        `TensorFlow ${tensorflowVersion}`,
        ...(device === null ? [`on the processor, ${threaded}`] : [`on ${device}`]),
        ...check,
      ].join(', ');
    case 'webgpu':
      return [`on ${device}`, ...(warning === null ? [] : ['a processor that emulates a GPU, slow']), ...check].join(
        ', ',
      );
    case 'wasm':
      return `on the processor, ${threaded}${simd === true ? ', with vector instructions' : ''}`;
    case 'cpu':
      return 'plain JavaScript on the processor, one thread; a reference for checking others';
  }
}
