import * as fc from 'fast-check';
import { openTensors } from '../../lib/weights/open';
import { readPickle } from '../../lib/weights/pickle';
import { PickleDict, PickleGlobal } from '../../lib/weights/pickle-values';
import { op, pickle, scratchFolder, tensor, torchZip, uint32, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

const plainWorld = {
  global: (name: string) => (name === 'allowed.name' ? new PickleGlobal(name, (args) => args.length) : undefined),
  persistent: () => 'persistent',
};
const read = (bytes: Uint8Array): unknown => readPickle(bytes, plainWorld).value;
const refuse = (bytes: Uint8Array): ReturnType<typeof weightsError> => weightsError(() => read(bytes));
let counter = 0;
const refuseFile = (dataPickle: Uint8Array): ReturnType<typeof weightsError> =>
  weightsError(() => openTensors(scratch.file(`attack-${counter++}.pt`, torchZip(dataPickle))));

// Each written by Python's pickle.dumps of the value that is its title.
test.each<[string, string, unknown]>([
  [
    "{'a': 1, 'b': [1, 1.5, None]}",
    'gAJ9cQAoWAEAAABhcQFLAVgBAAAAYnECXXEDKEsBRz/4AAAAAAAATmV1Lg==',
    new PickleDict([
      ['a', 1],
      ['b', [1, 1.5, null]],
    ]),
  ],
  [
    "{'a': 1, 'b': [2, 3]}",
    'gASVFwAAAAAAAAB9lCiMAWGUSwGMAWKUXZQoSwJLA2V1Lg==',
    new PickleDict([
      ['a', 1],
      ['b', [2, 3]],
    ]),
  ],
  [
    "(1, 300, 100000, -2**31 - 5, 'é', True, b'xy')",
    'gASVIAAAAAAAAAAoSwFNLAFKoIYBAIoF+///f/+MAsOplIhDAnh5lHSULg==',
    [1, 300, 100000, -2147483653, 'é', true, Uint8Array.of(120, 121)],
  ],
])('reads what Python wrote: %s', (_, base64, wanted) => {
  expect(read(Buffer.from(base64, 'base64'))).toEqual(wanted);
});

test('integers of every width, signed', () => {
  const one = (value: Buffer): unknown => read(pickle(value));
  expect(one(op.code('K\xff'))).toBe(255);
  expect(one(op.code('M\x01\x02'))).toBe(513);
  expect(one(op.int(-7))).toBe(-7);
  expect(one(op.long(-(2n ** 40n), 6))).toBe(-(2 ** 40));
  expect(one(op.long(0x1950a86a20f9469cfc6cn, 10))).toBe(0x1950a86a20f9469cfc6cn);
  expect(one(op.code('\x8a\x00'))).toBe(0);
});

test('values that were memorized are the same value', () => {
  const value = read(pickle(op.code('('), op.code(']q\x00'), op.code('h\x00'), op.code('t'))) as unknown[];
  expect(value[0]).toBe(value[1]);
});

test('a call that is allowed gets its arguments', () => {
  expect(read(pickle(op.global('allowed', 'name'), op.code('K\x01K\x02\x86R')))).toBe(2);
});

describe('attacks', () => {
  test.each([
    ['os', 'system'],
    ['posix', 'system'],
    ['builtins', 'eval'],
    ['__builtin__', 'exec'],
    ['subprocess', 'Popen'],
    ['torch.hub', 'load'],
    ['torch', 'load'],
    ['numpy.core.multiarray', '_reconstruct'],
    ['__torch__', 'Anything'],
    ['collections', 'OrderedDict.fromkeys'],
    ['torch._utils', '_rebuild_tensor_v2.__globals__'],
  ])('%s.%s is refused by name', async (module, name) => {
    const error = await refuseFile(pickle(op.global(module, name), op.text('touch /tmp/owned'), op.code('\x85R')));
    expect(error.code).toBe('weights/unsafe-pickle');
    expect(error.message).toContain(`${module}.${name}`);
    expect(error.data['global']).toBe(`${module}.${name}`);
  });

  test('the same through STACK_GLOBAL', async () => {
    const bytes = Buffer.concat([Buffer.of(0x80, 4), op.text('os'), op.text('system'), Buffer.of(0x93), op.code('.')]);
    expect((await refuseFile(bytes)).data['global']).toBe('os.system');
  });

  test.each([
    ['INST', 'i'],
    ['OBJ', 'o'],
    ['EXT1', '\x82'],
    ['PERSID', 'P'],
    ['text INT', 'I'],
    ['GET', 'g'],
    ['NEXT_BUFFER', '\x97'],
  ])('opcode %s is refused', async (_, code) => {
    expect((await refuse(pickle(op.code(code)))).code).toBe('weights/unsafe-pickle');
  });

  test('an allowed class cannot be called, nor a plain value', async () => {
    expect((await refuseFile(pickle(op.global('argparse', 'Namespace'), op.code(')R')))).message).toContain(
      'cannot be called',
    );
    expect((await refuse(pickle(op.text('x'), op.code(')R')))).message).toContain('cannot be called');
  });

  test.each<[string, Buffer]>([
    [
      'lists inside lists',
      Buffer.concat([
        ...Array.from({ length: 5000 }, () => op.code(']')),
        ...Array.from({ length: 4999 }, () => op.code('a')),
      ]),
    ],
    ['a list inside itself', op.code(']q\x00h\x00a')],
    ['a dictionary inside itself', Buffer.concat([op.code('}q\x00'), op.text('x'), op.code('h\x00s')])],
    [
      'shared lists that spell out 2^59 tensors',
      Buffer.concat([
        op.code('(]q\x00'),
        tensor({}),
        op.code('a'),
        ...Array.from({ length: 59 }, (_, level) =>
          Buffer.concat([
            op.code(']'),
            Buffer.of(0x71, level + 1),
            op.code('('),
            Buffer.of(0x68, level, 0x68, level),
            op.code('e'),
          ]),
        ),
        op.code('t'),
      ]),
    ],
  ])('%s end', async (_, body) => {
    expect((await refuseFile(pickle(body))).code).toBe('weights/limit');
  });

  test('a memo with an index of billions takes no memory', () => {
    expect(read(pickle(op.code('Nr'), uint32(0xffffffff), op.code('0j'), uint32(0xffffffff)))).toBe(null);
  });

  test('a stack without end is stopped', async () => {
    expect((await refuse(pickle(Buffer.alloc(1_100_000, 'N')))).code).toBe('weights/limit');
    expect((await refuse(pickle(Buffer.alloc(1_100_000, '(')))).code).toBe('weights/limit');
    expect((await refuse(pickle(Buffer.alloc(2_200_000, 'N(')))).code).toBe('weights/limit');
  });

  test('many short tuples above a tall stack are no growth', () => {
    const tuples = Buffer.alloc(3 * 2000, '(t0');
    expect(read(pickle(op.code('('), Buffer.alloc(1000, 'N'), tuples, op.code('t')))).toHaveLength(1000);
  });

  test.each<[string, Buffer]>([
    ['text', Buffer.concat([op.code('X'), uint32(0xffffffff)])],
    ['text of 8-byte length', op.code('\x8d\xff\xff\xff\xff\xff\xff\xff\x7f')],
    ['bytes', Buffer.concat([op.code('B'), uint32(0x7fffffff)])],
    ['an integer', Buffer.concat([op.code('\x8b'), uint32(1 << 20)])],
    ['a global', op.code(`c${'x'.repeat(5000)}`)],
  ])('%s that claims more than there is', async (_, body) => {
    expect(['weights/truncated', 'weights/limit', 'weights/format']).toContain((await refuse(pickle(body))).code);
  });

  test.each([
    'h\x05',
    '0',
    'e',
    't',
    '\x85',
    's',
    'u',
    'b',
    'R',
    '2',
    'Na',
    'NNb',
    '1',
    '}Ns',
    '](NNu',
    '](NNs',
    'NN',
    '\x90',
    '\x91',
    '\x92',
    '\x96',
    '(',
    '\x80\x09',
    '\x81',
    'N\x71',
  ])('nonsense %j', async (code) => {
    expect(['weights/format', 'weights/truncated']).toContain((await refuse(pickle(op.code(code)))).code);
  });

  test('nothing at all', async () => {
    expect((await refuse(new Uint8Array(0))).code).toBe('weights/truncated');
    expect((await refuse(op.proto)).code).toBe('weights/truncated');
  });
});

test('random opcodes give a value or a WeightsError', () => {
  const known = [
    ...'(012NJKMXTUBC]aetl)}dsuqrhjcRbQ.\x85\x86\x87\x88\x89\x8a\x8c\x8f\x90\x91\x92\x93\x94\x95\x96\x81',
  ].map((letter) => letter.charCodeAt(0));
  const code = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...known) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
  );
  fc.assert(
    fc.property(fc.array(code, { minLength: 1, maxLength: 60 }), (codes) => {
      try {
        readPickle(Uint8Array.from([0x80, 2, ...codes, 0x2e]), plainWorld);
      } catch (error) {
        expect(error).toHaveProperty('name', 'WeightsError');
      }
    }),
    { numRuns: 5000 },
  );
});

test('attributes that look like JavaScript internals are only names', async () => {
  const bytes = pickle(
    op.code('}('),
    op.text('__proto__'),
    op.code('}('),
    op.text('polluted'),
    op.code('\x88u'),
    op.text('constructor'),
    tensor({}),
    op.code('u'),
  );
  const source = await openTensors(
    scratch.file('proto.pt', torchZip(bytes, [{ name: 'x/data/0', content: Buffer.alloc(24) }])),
  );
  expect([...source.entries.keys()]).toEqual(['constructor']);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  source.close();
});
