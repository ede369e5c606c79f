import { completeModelOptions, type ModelOptionsInput } from '../../lib/config';
import { completeTrainingOptions, type TrainingOptionsInput } from '../../train/options';
import { smallSizes } from './tiny-files';

const complete = (training: TrainingOptionsInput, model: ModelOptionsInput = {}): ReturnType<typeof completeTrainingOptions> =>
  completeTrainingOptions(training, completeModelOptions(model, smallSizes));

test('defaults are those of the reference', () => {
  expect(complete({})).toEqual({
    learningRate: 1e-3, betas: [0.6, 0.999], batchSize: 8, epochs: 5, seed: 111, imageTemperature: 0.01, pixelTemperature: 0.07,
    interpolation: 'nearest', pooling: true, contextProbability: 1, pixelWeight: 4, imageWeight: 0.2,
  });
});

test('pixel losses weigh as often as the reference repeats its one feature', () => {
  expect(complete({}, { layers: [3] }).pixelWeight).toBe(1);
  expect(complete({}, { layers: [2, 3] }).pixelWeight).toBe(2);
  // Without the refined path every layer has features of its own, and each is summed anyway.
  expect(complete({}, { layers: [1, 2, 3], eattnBlocks: 0 }).pixelWeight).toBe(1);
  expect(complete({ pixelWeight: 2.5 }).pixelWeight).toBe(2.5);
});

test('pooling is as when scoring, unless told', () => {
  expect(complete({}, { pooling: false }).pooling).toBe(false);
  expect(complete({ pooling: true }, { pooling: false }).pooling).toBe(true);
});

test.each<[string, TrainingOptionsInput]>([
  ['learningRate', { learningRate: 0 }],
  ['betas', { betas: [1, 0.9] }],
  ['batchSize', { batchSize: 1.5 }],
  ['epochs', { epochs: -1 }],
  ['contextProbability', { contextProbability: 1.1 }],
])('%s out of range is wrong use, by name', (name, training) => {
  expect(() => complete(training)).toThrow(expect.objectContaining({ name: 'UsageError', message: expect.stringContaining(name) as string }));
});
