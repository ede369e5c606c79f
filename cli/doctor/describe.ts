import { formatBytes } from '../../terminal/table';
import type { Examination, WeightsPresence } from './examine';

/** What to do about each problem; empty where there is none. */
export function adviceOn(examination: Examination): string[] {
  const { backend, backends, setup, nvidiaDriver, weights } = examination;
  const advice: string[] = [];
  if (backend.warning !== null) advice.push(backend.warning);
  if (backend.nativeFailure !== null) advice.push(setup?.advice ?? backend.nativeFailure);
  const native = backends.find(({ name }) => name === 'tensorflow');
  if (nvidiaDriver !== null && native?.gpu !== true && native?.state !== 'wrong numbers') {
    advice.push(
      'GPU: an NVIDIA driver is loaded, but TensorFlow does not use it. Run `npx crane setup --retry` to set up its CUDA build.',
    );
  }
  if (!backend.gpu && backends.some(({ name, state, gpu }) => name === 'webgpu' && state === 'ready' && gpu)) {
    advice.push(
      'GPU: `--backend webgpu` can use it. Compare `crane bench --backend webgpu` with `crane bench`; `auto` chooses native TensorFlow.',
    );
  }
  const backbones = weights.files.filter((file) => file.kind === 'backbone');
  if (backbones.length > 0 && backbones.every((file) => !file.present)) {
    advice.push(
      'Weights: no published backbone is present; the embedded nano works without one. Fetch one with `crane weights fetch NAME`.',
    );
  }
  return advice;
}

/** The human-readable report: one item per line, then the weights, then what to do. */
export function describe(examination: Examination, advice: readonly string[]): string {
  const { backend, backends, setup, cpu, nvidiaDriver, memory, versions, platform, cache, weights } = examination;
  const rows: [title: string, text: string][] = [
    ['Backend', `${backend.name}: ${backend.reason}`],
    [
      'TensorFlow',
      backend.tensorflowVersion === null ? 'not in use' : `${backend.tensorflowVersion}${sourceOf(setup)}`,
    ],
    ...(backend.kernels === null ? [] : [['Kernels', describeKernels(backend.kernels)] satisfies [string, string]]),
    ['Threads', `${backend.threads} of ${cpu.cores} ${cpu.cores === 1 ? 'core' : 'cores'}`],
    ['CPU', `${cpu.model}${cpu.features === null ? '' : `; ${cpu.features.join(' ')}`}`],
    ['GPU', describeGpu(backend, nvidiaDriver)],
    ['Memory', `${formatBytes(memory.available)} of ${formatBytes(memory.total)} available`],
    [
      'Versions',
      `crane-tfjs ${versions['crane-tfjs']}, Node ${versions.node}, tfjs ${versions.tfjs}, sharp ${versions.sharp} (libvips ${versions.libvips})`,
    ],
    ['System', platform],
    ['Cache', `${cache.folder}${cache.exists ? ` (${formatBytes(cache.bytes)})` : ' (not created yet)'}`],
    ['Weights', `in ${weights.folder}`],
  ];
  const width = Math.max(...rows.map(([title]) => title.length)) + 2;
  const lines = rows.map(([title, text]) => title.padEnd(width) + text);
  lines.push(...weightLines(weights.files).map((line) => ' '.repeat(width) + line));
  lines.push('', 'Backends:', ...backendLines(backends));
  if (setup?.backend === 'wasm') {
    lines.push('', `Set-up of native TensorFlow, ${setup.time}:`);
    lines.push(...setup.steps.map(({ step, ok, detail }) => `  ${ok ? 'ok    ' : 'failed'}  ${step}: ${detail}`));
  }
  lines.push('', ...(advice.length === 0 ? ['Nothing is missing.'] : ['To do:', ...advice.map((item) => `- ${item}`)]));
  return `${lines.join('\n')}\n`;
}

function sourceOf(setup: Examination['setup']): string {
  switch (setup?.source) {
    case 'wheel':
      return ", from pip's wheel";
    case 'download':
      return ", from the npm package's own download";
    case 'found':
      return ', found already compiled';
    default:
      return '';
  }
}

function describeKernels(kernels: NonNullable<Examination['backend']['kernels']>): string {
  return kernels.own
    ? `own attention and MLP kernels, ${kernels.instructions}`
    : `plain TensorFlow operations, about half as fast: ${kernels.reason}`;
}

function describeGpu({ device, gpu }: Examination['backend'], driver: Examination['nvidiaDriver']): string {
  if (device !== null) return gpu ? `${device}: in use` : `none in use; ${device} is a processor that emulates one`;
  if (driver === null) return 'none in use (no NVIDIA driver is loaded)';
  const gpus = driver.gpus.join(', ') || 'an NVIDIA GPU';
  return `none in use, though a driver is loaded (${gpus}, driver ${driver.version ?? 'of unknown version'})`;
}

/** Each backend with its state; any error is on the same line, so that people can search for it and copy it. */
function backendLines(backends: Examination['backends']): string[] {
  const nameWidth = Math.max(...backends.map(({ name }) => name.length));
  const stateWidth = Math.max(...backends.map(({ state }) => state.length));
  return backends.map(
    ({ name, state, automatic, detail }) =>
      `${automatic ? '*' : ' '} ${name.padEnd(nameWidth)}  ${state.padEnd(stateWidth)}  ${detail}${automatic ? ' (chosen by auto)' : ''}`,
  );
}

/** Lists backbones one by one, and counts the many published prompts. */
function weightLines(files: readonly WeightsPresence[]): string[] {
  const backbones = files.filter((file) => file.kind === 'backbone');
  const prompts = files.filter((file) => file.kind === 'prompts');
  const width = Math.max(0, ...backbones.map((file) => file.name.length));
  const present = prompts.filter((file) => file.present).map((file) => file.name);
  return [
    ...backbones.map((file) =>
      `${file.name.padEnd(width)}  ${file.present ? 'present' : `missing  ${file.bytes === null ? '' : formatBytes(file.bytes)}`}`.trimEnd(),
    ),
    `prompts: ${present.length} of ${prompts.length} published prompts present${present.length === 0 ? '' : ` (${present.join(', ')})`}`,
  ];
}
