import type * as tf from '@tensorflow/tfjs';
import { ClipTextEncoder } from '../../encoders/clip-text';
import { ClipVisionEncoder } from '../../encoders/clip-vision';
import { refuseBeyondMemory } from '../memory-need';
import type { Method } from '../method';
import { withResizedPositions } from '../resized-positions';
import { winclipFlop } from './flop';
import { ANY_OBJECT, WinclipModel } from './model';
import { completeWinclipOptions, winclipOptionsSchema, type WinclipOptions } from './options';
import { sentencesOf } from './sentences';

/** WinCLIP (docs/method.md#winclip): nothing is trained. */
export const winclipMethod = {
  name: 'winclip',
  title: 'WinCLIP',
  options: winclipOptionsSchema,
  complete: completeWinclipOptions,
  words: ({ templates = 'full-stop' }, classNames) =>
    classNames &&
    [ANY_OBJECT, ...classNames].flatMap((name) => {
      const { normal, anomalous } = sentencesOf(name, templates);
      return [...normal, ...anomalous];
    }),
  flop: winclipFlop,
  build: ({ backbone, options }) => {
    const { sizes, activation, tokenizer, tokenIds, preprocessing } = backbone;
    const { vision } = sizes;
    refuseBeyondMemory(sizes, options);
    const made: tf.LayerVariable[] = [];
    const gridSize = options.imageSize / vision.patchSize;
    const common = {
      embedDimension: sizes.embedDimension,
      activation,
      onParameter: (parameter: tf.LayerVariable): void => void made.push(parameter),
    };
    try {
      const parts = {
        vision: new ClipVisionEncoder({
          ...common,
          parameters: withResizedPositions(backbone.parameters, vision.gridSize, gridSize),
          sizes: { ...vision, gridSize },
          eattnBlocks: 0,
          attention: 'qq+kk+vv',
        }),
        text: new ClipTextEncoder({
          ...common,
          parameters: backbone.parameters,
          sizes: sizes.text,
          ...(tokenIds === undefined ? {} : { tokenIds }),
        }),
      };
      backbone.finish();
      return new WinclipModel({ ...parts, tokenizer, options, preprocessing });
    } catch (error) {
      made.forEach((parameter) => parameter.dispose());
      throw error;
    }
  },
} as const satisfies Method<WinclipOptions>;
