import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { UsageError } from '../../lib/errors';
import { findRegisteredWeights, registeredWeights, registeredWeightsOf } from '../../lib/weights/registry';
import { goldenPath, testEachGolden } from '../goldens';

test('four backbones, twenty checkpoints and fifteen vision models, each under its own name, file and address', () => {
  expect(registeredWeights.filter((entry) => entry.kind === 'backbone')).toHaveLength(4);
  expect(registeredWeights.filter((entry) => entry.kind === 'prompts')).toHaveLength(20);
  expect(registeredWeights.filter((entry) => entry.kind === 'spatial')).toHaveLength(15);
  for (const field of ['name', 'file', 'url'] as const) {
    expect(new Set(registeredWeights.map((entry) => entry[field])).size).toBe(39);
  }
  const known = registeredWeights.flatMap(({ sha256 }) => sha256 ?? []);
  expect(new Set(known).size).toBe(known.length);
});

test('every address is https, and those of OpenAI carry the sha256 that is verified', () => {
  for (const entry of registeredWeights) {
    expect(new URL(entry.url).protocol).toBe('https:');
    if (entry.sha256 !== null) expect(entry.sha256).toMatch(/^[0-9a-f]{64}$/);
    if (entry.kind === 'backbone') expect(entry.url.split('/').at(-2)).toBe(entry.sha256);
  }
});

test.each([
  ['ViT-L/14@336px', 'ViT-L-14-336px.pt'],
  ['vit-l/14@336PX', 'ViT-L-14-336px.pt'],
  ['ViT-L-14-336px', 'ViT-L-14-336px.pt'],
  ['ViT-L/14', 'ViT-L-14.pt'],
  ['crane-visa', 'crane-visa-epoch-5.pth'],
  ['crane-visa@5', 'crane-visa-epoch-5.pth'],
  ['crane-plus-mvtec@1', 'crane-plus-mvtec-epoch-1.pth'],
  ['dinov2', 'dinov2_vitb14_reg4_pretrain.pth'],
  ['dino', 'dino_vitbase8_pretrain.pth'],
  ['SAM', 'sam_vit_b_01ec64.pth'],
  ['dinov2_vitl14', 'dinov2_vitl14_pretrain.pth'],
  ['dino_vits16', 'dino_deitsmall16_pretrain.pth'],
  ['dino_deitsmall8_pretrain', 'dino_deitsmall8_pretrain.pth'],
  ['sam_vit_h', 'sam_vit_h_4b8939.pth'],
])('%s means %s', (name, file) => {
  expect(findRegisteredWeights(name)?.file).toBe(file);
});

test.each([
  [
    'dinov2_vitg14_reg4',
    'dinov2',
    'https://dl.fbaipublicfiles.com/dinov2/dinov2_vitg14/dinov2_vitg14_reg4_pretrain.pth',
  ],
  ['dino_vitb8', 'dino', 'https://dl.fbaipublicfiles.com/dino/dino_vitbase8_pretrain/dino_vitbase8_pretrain.pth'],
  ['sam_vit_l', 'sam', 'https://dl.fbaipublicfiles.com/segment_anything/sam_vit_l_0b3195.pth'],
])('%s is of the family %s and lies where its authors put it', (name, family, url) => {
  expect(findRegisteredWeights(name)).toMatchObject({
    kind: 'spatial',
    family,
    url,
    trainedOn: null,
    licence: expect.stringContaining('Apache-2.0') as string,
  });
});

test('names that only look like a family are not one', () => {
  expect(findRegisteredWeights('constructor')).toBeUndefined();
  expect(findRegisteredWeights('toString')).toBeUndefined();
});

test('Crane+ files say which epoch of the longer run they are', () => {
  expect(findRegisteredWeights('crane-plus-mvtec')?.about).toContain('saved in epoch 12 of a longer run');
  expect(findRegisteredWeights('crane-plus-visa@2')?.about).not.toContain('longer run');
  expect(findRegisteredWeights('crane-mvtec')?.trainedOn).toBe('mvtec');
});

test('an unknown name, an epoch that does not exist and the wrong kind list what there is', () => {
  expect(() => registeredWeightsOf('ViT-H/14')).toThrow(UsageError);
  expect(() => registeredWeightsOf('crane-visa@6', 'prompts')).toThrow(/crane-plus-mvtec.*epoch from 1 to 5/);
  expect(() => registeredWeightsOf('dinov3', 'spatial')).toThrow(
    /no file is registered as "dinov3"\. Known: dinov2_vitb14_reg4, .*sam_vit_h\.$/,
  );
  expect(() => registeredWeightsOf('crane-visa', 'backbone')).toThrow(
    /is the name of prompts, not of backbone\. Known: ViT-L\/14@336px/,
  );
});

describe('published checkpoints on this machine', () => {
  testEachGolden(
    [
      ['published/trained_on_mvtec_crane_epoch_5.pth', 'crane-mvtec'],
      ['published/trained_on_visa_crane_epoch_5.pth', 'crane-visa'],
      ['published/trained_on_mvtec_cranep_epoch_5.pth', 'crane-plus-mvtec'],
      ['published/trained_on_mvtec_cranep_epoch_1.pth', 'crane-plus-mvtec@1'],
      ['published/trained_on_visa_cranep_epoch_5.pth', 'crane-plus-visa'],
    ],
    '%s has the registered length and sha256',
    (file, name) => {
      const bytes = fs.readFileSync(goldenPath(file));
      const entry = registeredWeightsOf(name);
      expect(bytes.length).toBe(entry.bytes);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(entry.sha256);
    },
  );
});
