import { CLIP_VARIANTS, type ClipSizes } from '../../lib/encoders/clip-sizes';
import { UsageError } from '../../lib/errors';
import { forwardBytes, refuseBeyondMemory } from '../../lib/methods/memory-need';

const sizes = CLIP_VARIANTS['ViT-L/14@336px'] as ClipSizes;

test('a size that cannot fit is refused with both figures, one that fits is not', () => {
  const bytes = forwardBytes(sizes, 2002);
  expect(() => refuseBeyondMemory(sizes, { imageSize: 2002 }, bytes)).not.toThrow();
  expect(() => refuseBeyondMemory(sizes, { imageSize: 2002 }, bytes - 1)).toThrow(UsageError);
  expect(() => refuseBeyondMemory(sizes, { imageSize: 2002 }, 1e9)).toThrow(
    /^`imageSize` 2002 takes about .* but only 1\.0 GB are available; choose a smaller one\.$/,
  );
});

test('four times the patches take four times the memory and more, where score matrices are made', () => {
  // Without the kernels of this project: (2002/14)^2 + 1 = 20450 tokens, three matrices of float32 with a row for each.
  expect(forwardBytes(sizes, 2002)).toBeGreaterThan(3 * 4 * 20450 ** 2);
  expect(forwardBytes(sizes, 1036)).toBeGreaterThan(4 * forwardBytes(sizes, 518));
});
