import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { UsageError } from '../../lib/errors';
import { findRegisteredWeights, registeredWeights, registeredWeightsOf } from '../../lib/weights/registry';
import { goldenPath, testEachGolden } from '../goldens';

test('four backbones and twenty checkpoints, each under its own name, file and address', () => {
  expect(registeredWeights.filter((entry) => entry.kind === 'backbone')).toHaveLength(4);
  expect(registeredWeights.filter((entry) => entry.kind === 'prompts')).toHaveLength(20);
  for (const field of ['name', 'file', 'url'] as const) {
    expect(new Set(registeredWeights.map((entry) => entry[field])).size).toBe(24);
  }
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
])('%s means %s', (name, file) => {
  expect(findRegisteredWeights(name)?.file).toBe(file);
});

test('Crane+ files say which epoch of the longer run they are', () => {
  expect(findRegisteredWeights('crane-plus-mvtec')?.about).toContain('saved in epoch 12 of a longer run');
  expect(findRegisteredWeights('crane-plus-visa@2')?.about).not.toContain('longer run');
  expect(findRegisteredWeights('crane-mvtec')?.trainedOn).toBe('mvtec');
});

test('an unknown name, an epoch that does not exist and the wrong kind list what there is', () => {
  expect(() => registeredWeightsOf('ViT-H/14')).toThrow(UsageError);
  expect(() => registeredWeightsOf('crane-visa@6', 'prompts')).toThrow(/crane-plus-mvtec.*epoch from 1 to 5/);
  expect(() => registeredWeightsOf('crane-visa', 'backbone')).toThrow(/is the name of prompts, not of backbone\. Known: ViT-L\/14@336px/);
});

describe('published checkpoints at hand', () => {
  testEachGolden([
    ['published/trained_on_mvtec_crane_epoch_5.pth', 'crane-mvtec'],
    ['published/trained_on_visa_crane_epoch_5.pth', 'crane-visa'],
    ['published/trained_on_mvtec_cranep_epoch_5.pth', 'crane-plus-mvtec'],
    ['published/trained_on_mvtec_cranep_epoch_1.pth', 'crane-plus-mvtec@1'],
    ['published/trained_on_visa_cranep_epoch_5.pth', 'crane-plus-visa'],
  ], '%s has the registered length and sha256', (file, name) => {
    const bytes = fs.readFileSync(goldenPath(file));
    const entry = registeredWeightsOf(name);
    expect(bytes.length).toBe(entry.bytes);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(entry.sha256);
  });
});
