import type { Random } from '../random';
import { disturbBytes, fieldValue, HOSTILE_NAMES, randomBytes, readField, writeField } from './values';

/** One instruction of a pickle: its opcode and the bytes of its argument. Source: Python's Lib/pickletools.py. */
export interface PickleOp {
  readonly code: number;
  readonly argument: Buffer;
}

const FIXED: Readonly<Record<string, number>> = {
  '\x80': 1,
  '\x95': 8,
  J: 4,
  K: 1,
  M: 2,
  G: 8,
  q: 1,
  r: 4,
  h: 1,
  j: 4,
  '\x82': 1,
  '\x83': 2,
  '\x84': 4,
};
const COUNTED: Readonly<Record<string, 1 | 4 | 8>> = {
  '\x8a': 1,
  '\x8b': 4,
  X: 4,
  '\x8c': 1,
  '\x8d': 8,
  T: 4,
  U: 1,
  B: 4,
  C: 1,
  '\x8e': 8,
  '\x96': 8,
};
const LINES: Readonly<Record<string, number>> = { c: 2, i: 2, I: 1, L: 1, F: 1, S: 1, V: 1, p: 1, g: 1, P: 1 };
const BARE = '(.012NQR\x81\x88\x89)t\x85\x86\x87]ael}dsubo\x8f\x90\x91\x92\x93\x94\x97\x98'.split('');

const letter = (code: number): string => String.fromCharCode(code);

/** The instructions of the pickle at `start`, its STOP included, and where it ends. */
export function parsePickle(bytes: Buffer, start = 0): { ops: PickleOp[]; end: number } {
  const ops: PickleOp[] = [];
  let at = start;
  while (at < bytes.length) {
    const code = bytes[at++] as number;
    const length = argumentLength(bytes, at, letter(code));
    ops.push({ code, argument: bytes.subarray(at, at + length) });
    at += length;
    if (code === 0x2e) break;
  }
  return { ops, end: at };
}

function argumentLength(bytes: Buffer, at: number, code: string): number {
  const counted = COUNTED[code];
  if (counted !== undefined) return counted + Number(readField(bytes, { at, width: counted }));
  let end = at;
  for (let line = LINES[code] ?? 0; line > 0; line--) end = bytes.indexOf(0x0a, end) + 1;
  return end - at + (FIXED[code] ?? 0);
}

export function writePickle(ops: readonly PickleOp[]): Buffer {
  const bytes = Buffer.allocUnsafe(ops.reduce((sum, { argument }) => sum + 1 + argument.length, 0));
  let at = 0;
  for (const { code, argument } of ops) {
    bytes[at++] = code;
    if (argument.length > 64) bytes.set(argument, at);
    else for (let index = 0; index < argument.length; index++) bytes[at + index] = argument[index] as number;
    at += argument.length;
  }
  return bytes;
}

const GLOBALS: readonly string[] = [
  'torch._utils _rebuild_tensor_v2',
  'torch._utils _rebuild_tensor',
  'torch._utils _rebuild_parameter',
  'torch._utils _rebuild_sparse_tensor',
  'torch._utils _rebuild_qtensor',
  'torch._utils _rebuild_meta_tensor_no_storage',
  'torch._utils _rebuild_wrapper_subclass',
  'torch._utils _rebuild_device_tensor_from_numpy',
  'torch._tensor _rebuild_from_type_v2',
  'torch FloatStorage',
  'torch HalfStorage',
  'torch DoubleStorage',
  'torch LongStorage',
  'torch BoolStorage',
  'torch BFloat16Storage',
  'torch ComplexFloatStorage',
  'torch UntypedStorage',
  'torch.storage UntypedStorage',
  'torch.storage TypedStorage',
  'torch Size',
  'torch device',
  'torch float32',
  'torch uint16',
  'torch float8_e4m3fn',
  'torch.serialization _get_layout',
  'collections OrderedDict',
  'collections Counter',
  'collections defaultdict',
  'builtins set',
  'builtins dict',
  'builtins list',
  'builtins int',
  'builtins complex',
  'builtins eval',
  'os system',
  'posix system',
  'argparse Namespace',
  'pathlib PosixPath',
  'numpy dtype',
  'numpy.core.multiarray scalar',
  'numpy._core.multiarray _reconstruct',
  'numpy ndarray',
  '_codecs encode',
  'copyreg _reconstructor',
  '__torch__ Module',
  '__torch__.a.b Net',
  'torch.jit._pickle build_intlist',
  'torch.jit._pickle restore_type_tag',
  '__proto__ constructor',
  'constructor prototype',
  ' ',
  'Object __proto__',
];

const TEXTS: readonly string[] = [
  'storage',
  'cpu',
  'cuda:0',
  'state_dict',
  '_metadata',
  '1',
  '2',
  'little_endian',
  ...HOSTILE_NAMES,
];

/** Changes some instructions. @param others pickles to take pieces of */
export function mutatePickle(
  random: Random,
  original: readonly PickleOp[],
  others: readonly (readonly PickleOp[])[],
): Buffer {
  let ops = [...original];
  for (let round = random.few(6); round > 0; round--) ops = mutateOnce(random, ops, others);
  const bytes = writePickle(ops);
  return random.chance(0.03) ? Buffer.from(disturbBytes(random, bytes)) : bytes;
}

function mutateOnce(random: Random, ops: PickleOp[], others: readonly (readonly PickleOp[])[]): PickleOp[] {
  const at = random.below(ops.length);
  const found = ops[at];
  if (found === undefined) return [madeOp(random)];
  switch (random.below(12)) {
    case 0:
      return ops.toSpliced(at, random.few(4));
    case 1:
      return ops.toSpliced(at, 0, ...ops.slice(at, at + random.few(4)));
    case 2: {
      // two instructions change places
      const other = random.below(ops.length);
      return ops.with(at, ops[other] as PickleOp).with(other, found);
    }
    case 3:
      return ops.toSpliced(at, 0, ...Array.from({ length: random.few(3) }, () => madeOp(random)));
    case 4: {
      // a piece of another pickle
      const other = random.pick([ops, ...others]);
      const from = random.below(other.length);
      return ops.toSpliced(at, random.below(3), ...other.slice(from, from + 1 + random.below(20)));
    }
    case 5:
      return random.chance(0.25)
        ? ops.toSpliced(at, 0, ...bomb(random))
        : ops.with(at, { ...madeOp(random), ...(random.chance(0.5) ? { argument: found.argument } : {}) });
    default: {
      // an argument, of which there are few among many bare instructions
      const withArgument = ops.findIndex(({ argument }, index) => index >= at && argument.length > 0);
      const place = withArgument < 0 ? at : withArgument;
      return ops.with(place, changedArgument(random, ops[place] as PickleOp, ops));
    }
  }
}

function changedArgument(random: Random, op: PickleOp, ops: readonly PickleOp[]): PickleOp {
  const code = letter(op.code);
  const counted = COUNTED[code];
  if (counted !== undefined) {
    if (random.chance(0.2)) {
      const lying = Buffer.from(op.argument);
      writeField(
        lying,
        { at: 0, width: counted },
        fieldValue(random, counted, readField(lying, { at: 0, width: counted })),
      );
      return { code: op.code, argument: lying };
    }
    // The text of another instruction of its kind makes names collide, and storages shared.
    const twin = random.chance(0.4) ? random.pick(ops.filter((other) => other.code === op.code)) : undefined;
    return (
      twin ??
      countedOp(
        op.code,
        counted,
        random.chance(0.3) ? disturbBytes(random, op.argument.subarray(counted)) : Buffer.from(random.pick(TEXTS)),
      )
    );
  }
  if (code === 'c' || code === 'i') return globalOp(op.code, random.pick(GLOBALS));
  if (LINES[code] !== undefined)
    return {
      code: op.code,
      argument: Buffer.from(
        `${random.pick(['1', '-1', '1e400', 'nan', '99999999999999999999', '0x10', '', "'a'", '"', ...TEXTS]).replaceAll('\n', '')}\n`,
      ),
    };
  const width = ([1, 2, 4, 8] as const).find((each) => each === op.argument.length);
  if (width === undefined) return madeOp(random);
  const argument = Buffer.from(op.argument);
  writeField(argument, { at: 0, width }, fieldValue(random, width, readField(argument, { at: 0, width })));
  return { code: op.code, argument };
}

function madeOp(random: Random): PickleOp {
  const code = random.chance(0.5)
    ? random.pick(BARE)
    : random.pick(
        random.chance(0.03)
          ? [letter(random.below(256))]
          : [...Object.keys(FIXED), ...Object.keys(COUNTED), ...Object.keys(LINES)],
      );
  const number = code.charCodeAt(0);
  const counted = COUNTED[code];
  if (counted !== undefined) {
    const content =
      code === '\x8a' || code === '\x8b' ? randomBytes(random, random.below(20)) : Buffer.from(random.pick(TEXTS));
    return countedOp(number, counted, content);
  }
  if (code === 'c' || code === 'i') return globalOp(number, random.pick(GLOBALS));
  if (LINES[code] !== undefined) return changedArgument(random, { code: number, argument: Buffer.from('0\n') }, []);
  const argument = Buffer.alloc(FIXED[code] ?? 0);
  for (let index = 0; index < argument.length; index++)
    argument[index] = random.chance(0.6) ? random.below(6) : random.below(256);
  return { code: number, argument };
}

function countedOp(code: number, width: 1 | 4 | 8, content: Uint8Array): PickleOp {
  const kept = width === 1 ? content.subarray(0, 255) : content;
  const argument = Buffer.concat([Buffer.alloc(width), kept]);
  writeField(argument, { at: 0, width }, BigInt(kept.length));
  return { code, argument };
}

function globalOp(code: number, name: string): PickleOp {
  return { code, argument: Buffer.from(`${name.replace(' ', '\n')}\n`) };
}

const bare = (codes: string): PickleOp[] =>
  codes.split('').map((code) => ({ code: code.charCodeAt(0), argument: Buffer.alloc(0) }));

/** Millions of values: one instruction whose argument is the others. */
function swarm(random: Random): PickleOp[] {
  const unit = random.pick(['}a', ')a', ']a', '}0', 'N\x94', '}\x94', '(', '(l', 'K\x00a', '\x88a']);
  const bytes = Buffer.alloc(random.pick([2_000_000, 12_000_000]), unit, 'latin1');
  return [...bare(']'), { code: bytes[0] as number, argument: bytes.subarray(1) }];
}

/** Few bytes that make much: deep nesting, values shared so that they double, cycles, many empty values. */
function bomb(random: Random): PickleOp[] {
  const times = random.pick([3, 20, 64, 65, 300, 2000]);
  const repeat = (codes: string, count = times): PickleOp[] => Array.from({ length: count }, () => bare(codes)).flat();
  const long = random.pick([2000, 20_000]);
  if (random.chance(0.01)) return swarm(random);
  switch (random.below(7)) {
    case 0:
      return [...bare(')'), ...repeat('\x85', random.chance(0.2) ? long : times)];
    case 1:
      return [...bare(']'), ...repeat('2\x86', Math.min(times, 64))];
    case 2:
      return repeat('}', random.chance(0.2) ? long : times);
    case 3:
      return [...bare(']2a')];
    case 4:
      return [
        ...bare('}'),
        { code: 0x72, argument: Buffer.of(9, 0, 0, 0) },
        ...bare('N'),
        { code: 0x6a, argument: Buffer.of(9, 0, 0, 0) },
        ...bare('s'),
      ];
    case 5:
      return [...bare('('), ...repeat('}', times), ...bare('l')];
    default:
      return repeat(random.pick(['(', 'N\x94', '2', ')\x94', '0', ']a']));
  }
}
