import { completeModelOptions, type ModelOptionsInput } from '../../lib/methods/crane/options';
import { completeTrainingOptions, type TrainingOptionsInput } from '../../train/options';
import { smallSizes } from './tiny-files';

const complete = (
  training: TrainingOptionsInput,
  model: ModelOptionsInput = {},
): ReturnType<typeof completeTrainingOptions> =>
  completeTrainingOptions(training, completeModelOptions(model, smallSizes));

test('defaults are those of the reference, but for exact gradients', () => {
  expect(complete({})).toEqual({
    learningRate: 1e-3,
    betas: [0.6, 0.999],
    batchSize: 8,
    epochs: 5,
    seed: 111,
    imageTemperature: 0.01,
    pixelTemperature: 0.07,
    interpolation: 'nearest',
    pooling: true,
    contextProbability: 1,
    pixelWeight: 1,
    imageWeight: 0.2,
    contextTokens: 12,
    deepTokens: 4,
    depth: 9,
    portion: 1,
    kShot: 0,
    mosaicRate: 0,
    validate: 0,
    roundGradients: true,
  });
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
  expect(() => complete(training)).toThrow(
    expect.objectContaining({ name: 'UsageError', message: expect.stringContaining(name) as string }),
  );
});
