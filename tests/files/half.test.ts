import * as fc from 'fast-check';
import { narrowToBrainFloat, narrowToHalf, overflowOf, widenBrainFloat, widenHalf } from '../../lib/files/half';

/** The value of a half by its definition, with arithmetic instead of bit patterns. */
function halfByDefinition(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const everyPattern = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

test('all 65536 halves widen to the value that the format defines', () => {
  const widened = new Float32Array(65536);
  widenHalf(everyPattern, widened);
  const wrong = everyPattern.filter((bits) => !Object.is(widened[bits], halfByDefinition(bits)));
  expect([...wrong]).toEqual([]);
});

test('every half comes back from float32 as itself', () => {
  const widened = new Float32Array(65536);
  widenHalf(everyPattern, widened);
  const back = narrowToHalf(widened);
  const isNan = (bits: number): boolean => (bits & 0x7fff) > 0x7c00;
  expect(
    [...everyPattern].filter((bits) => (isNan(bits) ? !isNan(back[bits] as number) : back[bits] !== bits)),
  ).toEqual([]);
});

/** All finite halves in order, for a search of the nearest one. */
const finiteHalves = Array.from(everyPattern)
  .filter((bits) => (bits & 0x7c00) !== 0x7c00 && bits < 0x8000)
  .map((bits) => ({ bits, value: halfByDefinition(bits) }));

function nearestHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  let low = 0;
  let high = finiteHalves.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((finiteHalves[middle]?.value ?? 0) <= magnitude) low = middle;
    else high = middle;
  }
  const [below, above] = [finiteHalves[low], finiteHalves[high]] as const;
  if (!below || !above) throw new Error('no halves');
  const [down, up] = [magnitude - below.value, above.value - magnitude];
  const nearest = down < up ? below : down > up ? above : (below.bits & 1) === 0 ? below : above;
  return sign | nearest.bits;
}

test('float32 narrows to the nearest half, to even on a tie', () => {
  const pattern = fc
    .integer({ min: 0, max: 0xffffffff })
    .map((bits) => new Float32Array(Uint32Array.of(bits).buffer)[0] as number);
  const ordinary = fc.double({ min: -70000, max: 70000, noNaN: true }).map(Math.fround);
  const small = fc.double({ min: -2e-4, max: 2e-4, noNaN: true }).map(Math.fround);
  const tie = fc
    .integer({ min: 0, max: 0x7bfe })
    .map((bits) => (halfByDefinition(bits) + halfByDefinition(bits + 1)) / 2);
  fc.assert(
    fc.property(fc.oneof(pattern, ordinary, small, tie), (value) => {
      fc.pre(!Number.isNaN(value));
      expect(narrowToHalf(Float32Array.of(value))[0]).toBe(nearestHalf(value));
    }),
    { numRuns: 5000 },
  );
});

test.each([
  [65504, 0x7bff],
  [65519.99, 0x7bff],
  [65520, 0x7c00],
  [-Infinity, 0xfc00],
  [2 ** -25, 0],
  [2 ** -24, 1],
  [-0, 0x8000],
  [1.00048828125, 0x3c00],
  [1.00146484375, 0x3c02],
])('%d narrows to 0x%s', (value, bits) => {
  expect(narrowToHalf(Float32Array.of(value))[0]).toBe(bits);
});

test('bfloat16 keeps the upper half of a float32 and rounds to nearest even', () => {
  const widened = new Float32Array(65536);
  widenBrainFloat(everyPattern, widened);
  expect(widened[0x3f80]).toBe(1);
  expect(widened[0xc040]).toBe(-3);
  const back = narrowToBrainFloat(widened);
  const finite = everyPattern.filter((bits) => (bits & 0x7fff) <= 0x7f80);
  expect(finite.every((bits) => back[bits] === bits)).toBe(true);
  expect(
    narrowToBrainFloat(
      new Float32Array(Uint32Array.of(0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0x7fc00001).buffer),
    ),
  ).toEqual(Uint16Array.of(0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x7fc0));
});

test('values are widened into the middle of an array', () => {
  const target = new Float32Array(4).fill(9);
  widenHalf(Uint16Array.of(0x3c00), target, 2);
  widenBrainFloat(Uint16Array.of(0x4000), target, 3);
  expect([...target]).toEqual([9, 9, 1, 2]);
});

test.each<['float16' | 'bfloat16', number, number]>([
  // The largest value that still rounds to the largest one of the type, and the next float32.
  ['float16', 65519.99609375, 65520],
  ['bfloat16', 2 ** 128 - 2 ** 119 - 2 ** 104, 2 ** 128 - 2 ** 119],
])('%s: overflow begins where the nearest value is infinite', (dtype, fits, tooLarge) => {
  const infinite = (value: number): boolean => {
    const bits = (dtype === 'float16' ? narrowToHalf : narrowToBrainFloat)(Float32Array.of(value))[0] as number;
    return bits === (dtype === 'float16' ? 0x7c00 : 0x7f80);
  };
  expect([infinite(fits), infinite(tooLarge)]).toEqual([false, true]);
  expect(overflowOf(Float32Array.of(0, fits, -fits, Infinity, -Infinity, NaN), dtype)).toBeUndefined();
  expect(overflowOf(Float32Array.of(0, Infinity, -tooLarge, tooLarge), dtype)).toMatchObject({
    index: 2,
    value: Math.fround(-tooLarge),
  });
});
