import * as door from '../../layers';
import type { LayerCase } from './layer-table';
import { seededParameters } from '../tensors';

const parameters = seededParameters('encoders', 0.3);
const [width, heads] = [8, 2];
const vision = { width, layers: 3, heads, patchSize: 4, gridSize: 2 };
const text = { width, layers: 2, heads, contextLength: 7, vocabularySize: 11 };
const dino = { width, layers: 2, heads, patchSize: 4, gridSize: 2, hidden: 12 };
const prompts = { width, contextTokens: 3, deepTokens: 2, depth: 3, startToken: 9, endToken: 10 };
const words = { normalWords: [1], anomalousWords: [2, 1] };
const clip = {
  sizes: vision,
  embedDimension: 6,
  activation: 'gelu',
  eattnBlocks: 2,
  attention: '(q+k+v)^2',
  parameters,
} as const;
const dAttn = { beta: 1.2, gamma: 3, mean: 'image' } as const;

/** Encoders, learnable prompts and scoring, by class name, as `LAYERS` has the rest. */
export const ENCODERS: Readonly<Record<string, readonly LayerCase[]>> = {
  ClipTextEncoder: [
    {
      make: (options) =>
        new door.ClipTextEncoder({ sizes: text, embedDimension: 6, activation: 'quick-gelu', parameters, ...options }),
      inputs: [[7]],
      outputs: [[6]],
      wrong: [[[[7], [1], [1]], /\[B, L\]/]],
      below: [11],
    },
    {
      make: (options) =>
        new door.ClipTextEncoder({
          ...{ sizes: text, embedDimension: 6, activation: 'gelu', tokenIds: [0, 9, 10] },
          parameters,
          ...options,
        }),
      inputs: [[6, 8], [1]],
      outputs: [[6]],
      wrong: [
        [[[6, 7], [1]], /\[B, L, 8\] and \[B, 1\]/],
        [[[8, 8], [1]], /a prompt of 8 tokens exceeds the 7/],
      ],
      below: [undefined, 6],
    },
  ],
  ClipVisionEncoder: [
    {
      make: (options) => new door.ClipVisionEncoder({ ...clip, ...options }),
      inputs: [[12, 8, 3]],
      outputs: [[6], [6, 6]],
      wrong: [
        [[[12, 9, 3]], /multiples of the patch size/],
        [
          [
            [12, 8, 3],
            [2, 2, 5],
          ],
          /takes \[B, H, W, colours\], but was given/,
        ],
      ],
    },
    {
      make: (options) =>
        new door.ClipVisionEncoder({
          ...clip,
          lastBlock: 'all-tokens',
          dAttn: { ...dAttn, layers: [3, 2, 1] },
          ...options,
        }),
      inputs: [
        [8, 8, 3],
        [3, 2, 5],
      ],
      outputs: [[6], [4, 6], [6, 6], [6, 6]],
      wrong: [],
    },
  ],
  DinoEncoder: [
    {
      make: (options) =>
        new door.DinoEncoder({
          sizes: { ...dino, registers: 0, feedForward: 'mlp', layerScale: false },
          parameters,
          ...options,
        }),
      inputs: [[13, 8, 3]],
      outputs: [[3, 2, 8]],
      wrong: [
        [[[3, 8, 3]], /at least 4/],
        [[[12, 8, 1]], /\[B, H, W, 3\]/],
      ],
    },
  ],
  Dinov2Encoder: [
    {
      make: (options) =>
        new door.Dinov2Encoder({
          sizes: { ...dino, registers: 1, feedForward: 'swiglu', layerScale: true },
          parameters,
          ...options,
        }),
      inputs: [[12, 8, 3]],
      outputs: [[3, 2, 8]],
      wrong: [[[[13, 8, 3]], /multiples of 4/]],
    },
  ],
  SamEncoder: [
    {
      make: (options) =>
        new door.SamEncoder({
          sizes: { width, layers: 2, heads, patchSize: 4, gridSize: 3, windowSize: 2, globalBlocks: [1], channels: 5 },
          parameters,
          ...options,
        }),
      inputs: [[12, 12, 3]],
      outputs: [[3, 3, 5]],
      wrong: [[[[12, 8, 3]], /\[12, 12, 3\]/]],
    },
  ],
  LearnablePrompts: [
    {
      make: (options) =>
        new door.LearnablePrompts({ ...prompts, ...words, contextPosition: 'pad_suffix', parameters, ...options }),
      inputs: [[8]],
      outputs: [
        [2, 2, 8],
        [2, 4, 8],
      ],
      wrong: [[[[7]], /\[B, 8\]/]],
    },
    {
      make: (options) =>
        new door.LearnablePrompts({
          ...{ ...prompts, ...words, depth: 1, contextPosition: 'replace_prefix' },
          parameters,
          ...options,
        }),
      inputs: [[8]],
      outputs: [
        [0, 2, 8],
        [2, 3, 8],
      ],
      wrong: [],
    },
  ],
  MapFusion: [
    {
      make: (options) =>
        new door.MapFusion({ fusion: 'logit', grid: [2, 3], size: [6, 9], copies: [1, 3], ...options }),
      inputs: [
        [6, 2],
        [6, 2],
      ],
      outputs: [[6, 9]],
      wrong: [
        [[[6, 2]], /\[B, 6, 2\] and \[B, 6, 2\]/],
        [
          [
            [6, 2],
            [12, 2],
          ],
          /\[B, 6, 2\] and \[B, 6, 2\]/,
        ],
      ],
    },
    {
      make: (options) => new door.MapFusion({ fusion: 'soft', grid: [2, 2], size: [4, 4], ...options }),
      inputs: [[4, 2]],
      outputs: [[4, 4]],
      wrong: [[[[4, 3]], /\[B, 4, 2\]/]],
    },
  ],
  GaussianFilter: [
    {
      make: (options) => new door.GaussianFilter({ sigma: 1, ...options }),
      inputs: [[6, 5]],
      outputs: [[6, 5]],
      wrong: [],
    },
  ],
  ScorePooling: [
    {
      make: (options) => new door.ScorePooling({ ...options }),
      inputs: [[6], [4, 6], [4, 2]],
      outputs: [[6]],
      wrong: [
        [[[5], [4, 6], [4, 2]], /\[B, E\] and \[B, N, E\] and \[B, N, 2\]/],
        [[[6], [4, 6], [3, 2]], /\[B, N, 2\]/],
      ],
    },
  ],
  Similarity: [
    {
      make: (options) => new door.Similarity({ temperature: 0.07, ...options }),
      inputs: [
        [4, 6],
        [2, 6],
      ],
      outputs: [[4, 2]],
      wrong: [
        [
          [
            [4, 6],
            [3, 6],
          ],
          /\[B or 1, 2, E\]/,
        ],
      ],
    },
  ],
};
