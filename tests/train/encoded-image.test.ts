import { TrainingError } from '../../lib/errors';
import { halvesOf, packImage } from '../../train/encoded-image';

test('a patch feature that half precision cannot hold is refused with its value, wherever features are kept', () => {
  const image = { global: new Float32Array(2), patches: [Float32Array.of(1, -70000)], mask: new Uint8Array(4) };
  for (const keep of [() => halvesOf(Float32Array.of(1, -70000)), () => packImage(image)]) {
    expect(keep).toThrow(TrainingError);
    expect(keep).toThrow(/-70000, beyond the largest float16, 65504: .* train with `precision: 'float32'`/);
  }
  expect([...halvesOf(Float32Array.of(1, -65504))]).toEqual([0x3c00, 0xfbff]);
  const halves = Uint16Array.of(0x7c00);
  expect(halvesOf(halves)).toBe(halves);
});
