import { CraneModel } from '../../lib/methods/crane/model';

/** Only what the number depends on: CLIP's patches are 14 pixels wide, the guide's 16. */
function atOnce(imageSize: number, guideSide?: number): number {
  const spatial = guideSide === undefined ? undefined : { inputSide: () => guideSide, patchSize: 16 };
  const model = Object.create(CraneModel.prototype, {
    options: { value: { imageSize } },
    vision: { value: { config: { sizes: { patchSize: 14 } } } },
    spatial: { value: spatial },
  }) as CraneModel;
  return model.imagesAtOnce;
}

test('as many images as keep the larger of both score matrices below 2 ** 21 elements', () => {
  // 5 x 5 patches and the class token: 26 ** 2 elements an image.
  expect(atOnce(70)).toBe(3102);
  // The guide's 32 x 32 patches: 1024 ** 2 elements.
  expect(atOnce(70, 512)).toBe(2);
  expect(atOnce(70, 1024)).toBe(1);
  // Of 401 tokens and 8 x 8 patches, the tokens count.
  expect(atOnce(280, 128)).toBe(13);
});
