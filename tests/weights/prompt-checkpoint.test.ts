import * as fs from 'node:fs';
import * as path from 'node:path';
import { RandomAccessFile } from '../../lib/files/byte-section';
import { openTensors, openTensorsSync } from '../../lib/weights/open';
import { readPickle } from '../../lib/weights/pickle';
import { pickleStateDict } from '../../lib/weights/pickle-writer';
import {
  type PromptCheckpoint,
  readPromptCheckpoint,
  type ReferenceBuffers,
  referenceBuffers,
  writePromptCheckpoint,
  writeReferencePrompts,
} from '../../lib/weights/prompt-checkpoint';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { writeTorchArchive } from '../../lib/weights/torch-archive-writer';
import { flattenCheckpoint } from '../../lib/weights/checkpoint-entries';
import { torchWorld } from '../../lib/weights/torch-values';
import { ZipArchive } from '../../lib/files/zip';
import { describeWithGoldens, golden, goldenPath, goldenTokenIds, testEachGolden, testWithGoldens } from '../goldens';
import { expectSameValues, scratchFolder, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());
const place = (name: string): string => path.join(scratch.folder, name);

const published = [
  'trained_on_mvtec_crane_epoch_5',
  'trained_on_mvtec_cranep_epoch_1',
  'trained_on_mvtec_cranep_epoch_5',
  'trained_on_visa_crane_epoch_5',
  'trained_on_visa_cranep_epoch_5',
].map((name): [string] => [`published/${name}.pth`]);

/** All records of an archive in the order in which they are stored. */
function records(file: string): { root: string; records: { name: string; content: Uint8Array }[] } {
  const opened = new RandomAccessFile(file);
  const entries = [...new ZipArchive(opened).entries.values()];
  const archive = new ZipArchive(opened);
  const root = (entries[0]?.name ?? '').split('/')[0] as string;
  const found = entries.map((entry) => ({
    name: entry.name.slice(root.length + 1),
    content: archive.contents(entry, 1 << 24),
  }));
  opened.close();
  return { root, records: found };
}

function standardDeviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

describeWithGoldens("the reference's prompt checkpoints", () => {
  test('the tiny one equals the state of its prompt learner', async () => {
    const checkpoint = await readPromptCheckpoint(goldenPath('prompts_tiny.pth'));
    expect(checkpoint).toMatchObject({ width: 64, contextTokens: 12, deepTokens: 4, depth: 3, metadata: {} });
    expect(checkpoint.contextNormal).toEqual(golden('prompts.safetensors#learner.ctx_pos').data);
    expect(checkpoint.contextAnomalous).toEqual(golden('prompts.safetensors#learner.ctx_neg').data);
    expect(checkpoint.deep).toEqual(
      [0, 1].map((index) => golden(`prompts.safetensors#learner.compound_prompts_text.${index}`).data),
    );
  });

  testEachGolden(published, '%s', async (file) => {
    const checkpoint = await readPromptCheckpoint(goldenPath(file));
    expect(checkpoint).toMatchObject({ width: 768, contextTokens: 12, deepTokens: 4, depth: 9 });
    expect(checkpoint.contextNormal.length).toBe(12 * 768);
    expect(checkpoint.deep.map((values) => values.length)).toEqual(new Array(8).fill(4 * 768));
  });

  testEachGolden(
    Object.entries({ mvtec_crane: 0.0329, visa_crane: 0.0341, mvtec_cranep: 0.0433, visa_cranep: 0.0416 }).map(
      ([name, wanted]): [string, number] => [`published/trained_on_${name}_epoch_5.pth`, wanted],
    ),
    '%s: the spread of ctx_pos is the one known (docs/method.md#checkpoints)',
    async (file, wanted) => {
      const { contextNormal } = await readPromptCheckpoint(goldenPath(file));
      expect(Math.abs(standardDeviation(contextNormal) - wanted)).toBeLessThan(5e-5);
    },
  );

  testEachGolden(
    [
      ['prompts_tiny.pth', 'cpu'],
      ['prompts_train_start.pth', 'cpu'],
      ...published.map(([file]): [string, string] => [file, 'cuda:0']),
    ],
    '%s: pickled again, the same bytes',
    (file, device) => {
      const original = records(goldenPath(file)).records.find(({ name }) => name === 'data.pkl')?.content as Uint8Array;
      const { tensors } = flattenCheckpoint(readPickle(original, torchWorld({ scriptClasses: false })).value);
      const again = pickleStateDict({
        key: 'prompt_learner',
        tensors: [...tensors].map(([name, { storage, offset, shape, strides }]) => ({
          name: name.slice('prompt_learner.'.length),
          storage: storage.key,
          storageType: storage.dtype === 'int32' ? ('IntStorage' as const) : ('FloatStorage' as const),
          storageCount: storage.count,
          offset,
          shape,
          strides,
        })),
        modules: file === 'prompts_train_start.pth' ? [] : ['', 'compound_prompts_text'],
        device,
      });
      expect(Buffer.from(again).equals(original)).toBe(true);
    },
  );

  testEachGolden(
    [['prompts_tiny.pth'], ['torch_zoo.pth'], ['vfm_dinov2_f16.pth'], ...published],
    '%s: packed again, the same bytes',
    (file) => {
      const { root, records: found } = records(goldenPath(file));
      writeTorchArchive(place('again.pth'), root, found);
      expect(fs.readFileSync(place('again.pth')).equals(fs.readFileSync(goldenPath(file)))).toBe(true);
    },
  );

  function buffersOf(file: string): { normal: ReferenceBuffers; anomalous: ReferenceBuffers } {
    const source = openTensorsSync(file);
    const [normal, anomalous] = (['pos', 'neg'] as const).map((state): ReferenceBuffers => ({
      prefix: source.read(`prompt_learner.token_prefix_${state}`),
      suffix: source.read(`prompt_learner.token_suffix_${state}`),
      tokens: source.readIntegers(`prompt_learner.tokenized_prompts_${state}`),
    }));
    source.close();
    return { normal, anomalous } as { normal: ReferenceBuffers; anomalous: ReferenceBuffers };
  }

  testEachGolden(
    [['published/trained_on_mvtec_crane_epoch_5.pth'], ['prompts_tiny.pth']],
    '%s through safetensors and back to .pth holds the same 16 entries',
    async (file) => {
      const original = goldenPath(file);
      const checkpoint = await readPromptCheckpoint(original);
      writePromptCheckpoint(place('prompts.safetensors'), checkpoint, { auxiliary: 'mvtec' });
      const ours = await readPromptCheckpoint(place('prompts.safetensors'));
      expect({ ...ours.metadata }).toEqual({ 'crane.format': 'prompts', auxiliary: 'mvtec' });
      const learned = ({ contextNormal, contextAnomalous, deep }: PromptCheckpoint): Float32Array[] => [
        contextNormal,
        contextAnomalous,
        ...deep,
      ];
      learned(ours).forEach((values, index) => expectSameValues(values, learned(checkpoint)[index] as Float32Array));
      expect(ours.deep.length).toBe(checkpoint.deep.length);

      writeReferencePrompts(place('epoch_5.pth'), ours, buffersOf(original));
      const [found, wanted] = [await openTensors(place('epoch_5.pth')), await openTensors(original)];
      if (file !== 'prompts_tiny.pth')
        expect([...found.entries.values()]).toMatchObject(
          [...wanted.entries.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape })),
        );
      expect([...found.entries.keys()].sort()).toEqual([...wanted.entries.keys()].sort());
      for (const name of wanted.entries.keys()) expectSameValues(found.read(name), wanted.read(name));
      found.close();
      wanted.close();
    },
  );

  const visa = 'published/trained_on_visa_crane_epoch_5.pth';
  testWithGoldens(visa)(
    'what is written has the published records, root and, up to device and strides, pickle',
    async () => {
      const original = goldenPath(visa);
      writeReferencePrompts(place('epoch_5.pth'), await readPromptCheckpoint(original), buffersOf(original));
      const [found, wanted] = [records(place('epoch_5.pth')), records(original)];
      expect(found.root).toBe('epoch_5');
      expect(found.records.map(({ name }) => name).filter((name) => name !== 'byteorder')).toEqual(
        wanted.records.map(({ name }) => name),
      );
      for (const { name, content } of wanted.records.filter((record) => record.name.startsWith('data/'))) {
        expectSameValues(found.records.find((record) => record.name === name)?.content ?? new Uint8Array(0), content);
      }
      expect(Buffer.from(found.records.find(({ name }) => name === 'byteorder')?.content ?? []).toString()).toBe(
        'little',
      );
    },
  );

  test('the buffers follow from the token table', () => {
    const file = goldenPath('prompts_tiny.pth');
    const table = openTensorsSync(goldenPath('clip_tiny.safetensors'));
    const embeddings = table.read('token_embedding.weight');
    table.close();
    const ids = goldenTokenIds('clip_tiny.safetensors');
    const rowOf = (id: number): number => (ids ? ids.indexOf(id) : id);
    const wanted = buffersOf(file);
    for (const state of ['normal', 'anomalous'] as const) {
      const found = referenceBuffers(wanted[state].tokens, 12, (id) =>
        embeddings.subarray(rowOf(id) * 64, (rowOf(id) + 1) * 64),
      );
      expectSameValues(found.prefix, wanted[state].prefix);
      expectSameValues(found.suffix, wanted[state].suffix);
      expect(found.tokens).toBe(wanted[state].tokens);
    }
  });
});

const finite: PromptCheckpoint = {
  contextNormal: Float32Array.of(1, 2, 3, 4, 5, 6),
  contextAnomalous: Float32Array.of(6, 5, 4, 3, 2, 1),
  deep: [],
  width: 3,
  contextTokens: 2,
  deepTokens: 0,
  depth: 1,
  metadata: { seed: '7' },
};

test('prompts without deep tokens', async () => {
  writePromptCheckpoint(place('shallow.safetensors'), finite);
  expect(await readPromptCheckpoint(place('shallow.safetensors'))).toMatchObject({
    ...finite,
    metadata: { seed: '7', 'crane.format': 'prompts' },
  });
});

test("AnomalyCLIP's unused projections are left aside", async () => {
  const tensor = (...shape: number[]): TensorToWrite => ({
    dtype: 'float32',
    shape,
    data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
  });
  writeSafetensors(place('anomalyclip.safetensors'), {
    'prompt_learner.ctx_pos': tensor(1, 1, 2, 3),
    'prompt_learner.ctx_neg': tensor(1, 1, 2, 3),
    'prompt_learner.compound_prompts_text.0': tensor(4, 3),
    'prompt_learner.compound_prompt_projections.0.weight': tensor(5, 3),
    'prompt_learner.compound_prompt_projections.0.bias': tensor(5),
  });
  expect(await readPromptCheckpoint(place('anomalyclip.safetensors'))).toMatchObject({
    width: 3,
    contextTokens: 2,
    deepTokens: 4,
    depth: 2,
  });
});

const one = (shape: number[], value = 1): TensorToWrite => ({
  dtype: 'float32',
  shape,
  data: new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value),
});

test.each<[string, Record<string, TensorToWrite>, string]>([
  ['no prompts', { 'visual.proj': one([2, 2]) }, 'weights/not-prompts'],
  ['contexts of two shapes', { 'context.normal': one([2, 3]), 'context.anomalous': one([2, 4]) }, 'weights/shape'],
  ['one context', { 'context.normal': one([2, 3]) }, 'weights/missing'],
  [
    'deep tokens of another width',
    { 'context.normal': one([2, 3]), 'context.anomalous': one([2, 3]), 'deep.0': one([4, 5]) },
    'weights/shape',
  ],
  [
    'a gap between deep tokens',
    { 'context.normal': one([2, 3]), 'context.anomalous': one([2, 3]), 'deep.1': one([4, 3]) },
    'weights/surplus',
  ],
  ['a context of one axis', { ctx_pos: one([6]), ctx_neg: one([6]) }, 'weights/shape'],
  ['more than one prompt', { ctx_pos: one([2, 1, 2, 3]), ctx_neg: one([2, 1, 2, 3]) }, 'weights/shape'],
  ['no context tokens', { ctx_pos: one([0, 3]), ctx_neg: one([0, 3]) }, 'weights/shape'],
  [
    'values that are not finite',
    { 'context.normal': one([2, 3], NaN), 'context.anomalous': one([2, 3]) },
    'weights/not-finite',
  ],
])('%s: an error', async (_, tensors, code) => {
  writeSafetensors(place('wrong.safetensors'), tensors);
  expect((await weightsError(() => readPromptCheckpoint(place('wrong.safetensors')))).code).toBe(code);
});

test('buffers that do not fit are refused and nothing is written', async () => {
  const buffers = { prefix: new Float32Array(3), suffix: new Float32Array(5), tokens: new Int32Array(9) };
  const error = await weightsError(() =>
    writeReferencePrompts(place('never.pth'), finite, { normal: buffers, anomalous: buffers }),
  );
  expect(error.message).toContain('token_suffix_pos: 5 values given for shape [1, 1, 6, 3]');
  expect(fs.existsSync(place('never.pth'))).toBe(false);
});

test('what stands beside the module that learns does not stop its prompts; what stands in it does', async () => {
  const prompts = { 'prompt_learner.ctx_pos': one([1, 1, 2, 3]), 'prompt_learner.ctx_neg': one([1, 1, 2, 3]) };
  writeSafetensors(place('training.safetensors'), { ...prompts, 'optimizer.state.0.exp_avg': one([2, 3]) });
  expect(await readPromptCheckpoint(place('training.safetensors'))).toMatchObject({ contextTokens: 2, width: 3 });
  writeSafetensors(place('training.safetensors'), { ...prompts, 'prompt_learner.gate': one([1]) });
  expect((await weightsError(() => readPromptCheckpoint(place('training.safetensors')))).code).toBe('weights/surplus');
});
