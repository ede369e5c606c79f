import * as tf from '@tensorflow/tfjs';
import { Crane } from '../..';
import { prepareBackend } from '../../lib/backend';
import { CraneModel } from '../../lib/methods/crane/model';
import { methods } from '../../lib/methods/registry';
import { openSpatial } from '../../lib/methods/spatial';
import * as opening from '../../lib/weights/open';
import { describeWithGoldens, goldenPath, testWithGoldens } from '../goldens';

beforeAll(async () => {
  await prepareBackend();
});

test('`checkpoint` names what `prompts` names', async () => {
  const before = tf.memory().numTensors;
  for (const named of [{ checkpoint: 'nano-prompts' }, { prompts: 'nano-prompts' }, {}]) {
    const crane = await Crane.load(named);
    expect(crane.description).toMatchObject({ method: 'crane', prompts: 'nano-prompts' });
    expect(crane.description).not.toHaveProperty('checkpoint');
    expect(crane.model).toBeInstanceOf(CraneModel);
    crane.dispose();
  }
  expect(tf.memory().numTensors).toBe(before);
});

test('the class that a call names goes before the one that the model was loaded with', async () => {
  const crane = await Crane.load({ method: 'winclip', className: 'button' });
  const asked = jest.spyOn(crane.model, 'forClass');
  const picture = { data: new Uint8Array(48), width: 4, height: 4, channels: 3 as const };
  const loaded = await crane.detect(picture);
  const named = await crane.detect(picture, { className: 'carpet' });
  expect(asked.mock.calls).toEqual([['button'], ['carpet']]);
  expect(named.score).not.toBe(loaded.score);
  crane.dispose();
});

testWithGoldens('clip_tiny_torchscript.pt')('where all class names are told, only their words are kept', async () => {
  const backbone = goldenPath('clip_tiny_torchscript.pt');
  const all = await Crane.load({ method: 'winclip', backbone });
  const some = await Crane.load({ method: 'winclip', backbone, classNames: ['button'] });
  for (const name of ['button', undefined, 'metal_nut']) expect(() => all.model.forClass(name)).not.toThrow();
  for (const name of ['button', undefined]) expect(() => some.model.forClass(name)).not.toThrow();
  expect(() => some.model.forClass('metal_nut')).toThrow(expect.objectContaining({ code: 'weights/token-missing' }));
  expect(some.model.parameters).toBeLessThan(all.model.parameters / 2);
  all.dispose();
  some.dispose();
});

test('every method says of each option what the help of the commands says', () => {
  for (const { name, title, options } of methods) {
    expect(title.toLowerCase()).toContain(name.replace(/-.*/, ''));
    for (const [option, schema] of Object.entries(options.shape))
      expect([name, option, (schema as { description?: string }).description]).toEqual([
        name,
        option,
        expect.stringMatching(/^\S.{8,}[^.]$/),
      ]);
  }
});

describeWithGoldens('a second vision model', () => {
  test.each(['vfm_sam.safetensors', 'vfm_dino.safetensors'])(
    '%s is told by its tensors in one opening',
    async (file) => {
      const open = jest.spyOn(opening, 'openTensors');
      const weights = await openSpatial({ weights: goldenPath(file), ...(file.includes('dino') ? { heads: 2 } : {}) });
      expect(weights.family).toBe(file.includes('sam') ? 'sam' : 'dino');
      expect(open).toHaveBeenCalledTimes(1);
      open.mockRestore();
      weights.close();
    },
  );
});
