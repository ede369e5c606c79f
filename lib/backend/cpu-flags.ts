import { readFileSync } from 'node:fs';

/** Features of the processor as Linux names them, such as `avx2`; null where the system has no /proc/cpuinfo. */
export function cpuFlags(): ReadonlySet<string> | null {
  try {
    const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    return flags === undefined ? null : new Set(flags.trim().split(/\s+/));
  } catch {
    return null;
  }
}

/** Vector instructions by which a processor's products differ in their last bits. */
const VECTOR_FLAGS = [
  'asimd',
  'avx',
  'fma',
  'avx2',
  'avx_vnni',
  'avx512f',
  'avx512_vnni',
  'avx512_bf16',
  'avx512_fp16',
  'amx_tile',
];

/**
 * What determines the last bits of native TensorFlow's results, besides its version: the processor's vector instructions, what
 * limits them, and the number of threads. Equal inputs give equal bytes where this is equal.
 * @param threads that one operation may use
 */
export function roundingCircumstances(threads: number): string {
  const flags = cpuFlags();
  const vectors = flags === null ? [process.arch] : VECTOR_FLAGS.filter((flag) => flags.has(flag));
  const limits = ['ONEDNN_MAX_CPU_ISA', 'TF_ENABLE_ONEDNN_OPTS'].flatMap((name) =>
    process.env[name] === undefined ? [] : [`${name}=${process.env[name]}`],
  );
  return [...vectors, ...limits, `${threads} threads`].join(' ');
}
