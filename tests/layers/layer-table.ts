import * as door from '../../layers';
import { seededParameters } from '../tensors';

type Shape = readonly number[];
type Options = door.LayerOptions;

/** A layer as the tests make it, with what it takes and gives for one sample. */
export interface LayerCase {
  readonly make: (options?: Options) => door.CraneLayer;
  readonly inputs: readonly Shape[];
  /** Worked out by hand. */
  readonly outputs: readonly Shape[];
  /** Inputs of the right rank that have to be refused, and what the message says of what is expected. */
  readonly wrong: readonly [inputs: readonly Shape[], expected: RegExp][];
  /** Inputs that are whole numbers from 0 up to this, by input. */
  readonly below?: readonly (number | undefined)[];
}

const parameters = seededParameters('layers', 0.3);
const [width, heads] = [8, 2];
const block = { width, heads, activation: 'quick-gelu', parameters } as const;

const dAttn = { beta: 1.2, gamma: 3, mean: 'image' } as const;

/** The layers of `lib/layers`, by class name; several cases where a layer has several forms. */
export const LAYERS: Readonly<Record<string, readonly LayerCase[]>> = {
  BranchingBlock: [
    {
      make: (options) => new door.BranchingBlock({ ...block, causal: true, ...options }),
      inputs: [[5, 8]],
      outputs: [[5, 8]],
      wrong: [[[[5, 7]], /\[B, N, 8\]/]],
    },
  ],
  Convolution: [
    {
      make: (options) =>
        new door.Convolution({ inputs: 3, channels: 5, kernelSize: 3, stride: 2, parameters, ...options }),
      inputs: [[7, 4, 3]],
      outputs: [[4, 2, 5]],
      wrong: [[[[7, 4, 4]], /\[B, H, W, 3\]/]],
    },
  ],
  DAttn: [
    {
      make: (options) => new door.DAttn({ ...dAttn, ...options }),
      inputs: [
        [2, 3, 8],
        [3, 4, 5],
      ],
      outputs: [[12, 8]],
      wrong: [[[[2, 3, 8]], /\[B, r, c, D\] and \[B, R, C, F\]/]],
    },
  ],
  DualPathBlock: [
    {
      make: (options) => new door.DualPathBlock({ ...block, attention: 'qq+kk+vv', ...options }),
      inputs: [
        [5, 8],
        [5, 8],
      ],
      outputs: [
        [5, 8],
        [5, 8],
      ],
      wrong: [
        [
          [
            [5, 8],
            [4, 8],
          ],
          /\[B, N, 8\] and \[B, N, 8\]/,
        ],
        [[[5, 8]], /\[B, N, 8\] and \[B, N, 8\]/],
      ],
    },
    {
      make: (options) =>
        new door.DualPathBlock({ ...block, attention: 'vv', classTokenOnly: true, guided: 'path-start', ...options }),
      inputs: [
        [5, 8],
        [5, 8],
      ],
      outputs: [
        [1, 8],
        [5, 8],
        [4, 8],
      ],
      wrong: [],
    },
  ],
  EAttn: [
    {
      make: (options) => new door.EAttn({ attention: 'qq+kk', ...options }),
      inputs: Array.from({ length: 4 }, () => [5, 4]),
      outputs: [[5, 4]],
      wrong: [
        [
          [
            [5, 4],
            [5, 4],
            [5, 4],
            [5, 3],
          ],
          /\[B·H, N, d\] and/,
        ],
      ],
    },
  ],
  LayerNorm: [
    {
      make: (options) => new door.LayerNorm({ width, epsilon: 1e-3, parameters, ...options }),
      inputs: [[3, 2, 8]],
      outputs: [[3, 2, 8]],
      wrong: [[[[8, 7]], /\[…, 8\]/]],
    },
  ],
  LayerScale: [
    {
      make: (options) => new door.LayerScale({ width, parameters: seededParameters('scale'), ...options }),
      inputs: [[4, 8]],
      outputs: [[4, 8]],
      wrong: [[[[4, 1]], /\[…, 8\]/]],
    },
  ],
  Linear: [
    {
      make: (options) =>
        new door.Linear({ inputs: 8, units: 5, weightName: '.in_proj_weight', parameters, ...options }),
      inputs: [[4, 8]],
      outputs: [[4, 5]],
      wrong: [[[[8, 4]], /\[…, 8\]/]],
    },
  ],
  Mlp: [
    {
      make: (options) => new door.Mlp({ width, activation: 'gelu', hidden: 10, parameters, ...options }),
      inputs: [[4, 8]],
      outputs: [[4, 8]],
      wrong: [[[[8, 4]], /\[…, 8\]/]],
    },
  ],
  MultiHeadAttention: [
    {
      make: (options) => new door.MultiHeadAttention({ width, heads, causal: true, parameters, ...options }),
      inputs: [[5, 8]],
      outputs: [[5, 8]],
      wrong: [[[[8, 5]], /\[B, N, 8\]/]],
    },
  ],
  PatchEmbedding: [
    {
      make: (options) => new door.PatchEmbedding({ width, patchSize: 4, gridSize: 2, parameters, ...options }),
      inputs: [[12, 8, 3]],
      outputs: [[7, 8]],
      wrong: [
        [[[12, 9, 3]], /multiples of the patch size/],
        [[[12, 8, 1]], /3 colours/],
      ],
    },
  ],
  PatchProjection: [
    {
      make: (options) => new door.PatchProjection({ width, patchSize: 4, parameters, ...options }),
      inputs: [[13, 9, 3]],
      outputs: [[6, 8]],
      wrong: [[[[13, 9, 4]], /\[B, H, W, 3\]/]],
    },
  ],
  ResidualBlock: [
    {
      make: (options) => new door.ResidualBlock({ ...block, hidden: 12, epsilon: 1e-4, ...options }),
      inputs: [[5, 8]],
      outputs: [[5, 8]],
      wrong: [[[[5, 9]], /\[B, N, 8\]/]],
    },
  ],
  SamAttention: [
    {
      make: (options) => new door.SamAttention({ width, heads, windowSize: 2, trainedSide: 2, parameters, ...options }),
      inputs: [[3, 5, 8]],
      outputs: [[3, 5, 8]],
      wrong: [[[[3, 5, 4]], /\[B, R, C, 8\]/]],
    },
  ],
  SamBlock: [
    {
      make: (options) => new door.SamBlock({ width, heads, windowSize: 0, trainedSide: 3, parameters, ...options }),
      inputs: [[3, 3, 8]],
      outputs: [[3, 3, 8]],
      wrong: [[[[3, 3, 9]], /\[B, R, C, 8\]/]],
    },
  ],
  SwiGlu: [
    {
      make: (options) => new door.SwiGlu({ width, hidden: 6, parameters, ...options }),
      inputs: [[4, 8]],
      outputs: [[4, 8]],
      wrong: [[[[4, 7]], /\[…, 8\]/]],
    },
  ],
  VisionBlock: [
    {
      make: (options) =>
        new door.VisionBlock({
          width,
          heads,
          hidden: 12,
          feedForward: 'swiglu',
          layerScale: true,
          parameters,
          ...options,
        }),
      inputs: [[5, 8]],
      outputs: [[5, 8]],
      wrong: [[[[5, 9]], /\[B, N, 8\]/]],
    },
  ],
  VisionEmbedding: [
    {
      make: (options) =>
        new door.VisionEmbedding({
          ...{ width, patchSize: 4, gridSize: 2, registers: 2, positions: 'offset', partialPatches: 'refuse' },
          parameters,
          ...options,
        }),
      inputs: [[12, 8, 3]],
      outputs: [[9, 8]],
      wrong: [
        [[[12, 7, 3]], /multiples of 4/],
        [[[12, 8, 4]], /\[B, H, W, 3\]/],
      ],
    },
  ],
};
