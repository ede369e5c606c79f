import * as tf from '@tensorflow/tfjs';
import { Random } from '../../datasets/synthetic/random';
import { completeModelOptions } from '../../lib/methods/crane/options';
import { ClipTextEncoder } from '../../lib/encoders/clip-text';
import { ClipVisionEncoder } from '../../lib/encoders/clip-vision';
import { TrainingError } from '../../lib/errors';
import type { ParameterSource } from '../../lib/layers/crane-layer';
import type { TensorToWrite } from '../../lib/weights/safetensors';
import type { TensorSource } from '../../lib/weights/tensor-source';
import { NANO_SIZES } from './recipe';

/** Similarities are multiplied by 1/0.07 at first and never by more than 100, as in CLIP. */
const FIRST_LOGIT_SCALE = Math.log(1 / 0.07);
const LARGEST_LOGIT_SCALE = Math.log(100);

/** Both towers of the embedded CLIP in training. */
export class NanoNetwork {
  readonly vision: ClipVisionEncoder;
  readonly text: ClipTextEncoder;
  readonly logitScale: tf.Variable;
  /** All trained parameters, in a fixed order. */
  readonly variables: readonly tf.Variable[];
  /** Canonical names of `variables`. */
  readonly names: readonly string[];

  constructor(
    parameters: ParameterSource,
    readonly tokenIds: readonly number[],
    logitScale = FIRST_LOGIT_SCALE,
  ) {
    const { vision, text, embedDimension } = NANO_SIZES;
    const { eattnBlocks, attention } = completeModelOptions({}, NANO_SIZES);
    const common = { embedDimension, activation: 'quick-gelu', trainable: true, parameters } as const;
    this.vision = new ClipVisionEncoder({ ...common, sizes: vision, eattnBlocks, attention, lastBlock: 'all-tokens' });
    this.text = new ClipTextEncoder({ ...common, sizes: text, tokenIds });
    this.logitScale = tf.tidy(() => tf.variable(tf.scalar(logitScale)));
    const weights = [...this.vision.trainableWeights, ...this.text.trainableWeights];
    this.variables = [...weights.map((weight) => weight.read() as tf.Variable), this.logitScale];
    this.names = [...weights.map((weight) => weight.originalName), 'logit_scale'];
  }

  /** Keeps the logit scale within CLIP's bound; called after each step. */
  boundLogitScale(): void {
    tf.tidy(() => this.logitScale.assign(tf.minimum(this.logitScale, LARGEST_LOGIT_SCALE)));
  }

  /** Every parameter, with its name and layout in OpenAI's state dict. */
  tensors(dtype: 'float16' | 'float32'): Record<string, TensorToWrite> {
    const tensors: Record<string, TensorToWrite> = {
      'token_embedding.ids': { dtype: 'int32', shape: [this.tokenIds.length], data: Int32Array.from(this.tokenIds) },
    };
    this.names.forEach((name, index) => {
      const variable = this.variables[index] as tf.Variable;
      const { shape, data } = tf.tidy(() => {
        const kept = asInFile(name, variable);
        return { shape: kept.shape, data: Float32Array.from(kept.dataSync()) };
      });
      tensors[name] = { dtype, shape, data };
    });
    return tensors;
  }

  dispose(): void {
    this.vision.dispose();
    this.text.dispose();
    this.logitScale.dispose();
  }
}

/** Whether weight decay applies: only to matrices, not to gains, offsets or embeddings. */
export function decays(name: string): boolean {
  return /(in_proj_weight|out_proj\.weight|c_fc\.weight|c_proj\.weight|text_projection|visual\.proj)$/.test(name);
}

/** The layers store matrices transposed, and the patch kernel as rows of samples. */
function asInFile(name: string, variable: tf.Tensor): tf.Tensor {
  if (name.endsWith('conv1.weight')) {
    const { patchSize, width } = NANO_SIZES.vision;
    return tf.transpose(tf.reshape(variable, [patchSize, patchSize, 3, width]), [3, 2, 0, 1]); // [D, 3, p, p]
  }
  return /(in_proj_weight|out_proj\.weight|c_fc\.weight|c_proj\.weight)$/.test(name)
    ? tf.transpose(variable)
    : variable;
}

/** CLIP's initial values, seeded by name, so that a parameter does not depend on those initialised before it. */
export function initialParameters(seed: number, patchKernel: Float32Array): ParameterSource {
  return (path, shape) => {
    if (path.endsWith('conv1.weight')) return tf.tensor(patchKernel, shape);
    if (path.endsWith('.bias') || path.endsWith('in_proj_bias')) return tf.zeros(shape);
    if (/ln_(1|2|pre|post|final)\.weight$/.test(path)) return tf.ones(shape);
    const random = new Random(`${seed}/parameter/${path}`);
    const deviation = deviationOf(path);
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => deviation * random.normal());
    return tf.tensor(values, shape);
  };
}

function deviationOf(path: string): number {
  const { width, layers } = path.startsWith('visual.') ? NANO_SIZES.vision : NANO_SIZES.text;
  const residual = width ** -0.5 * (2 * layers) ** -0.5;
  if (/out_proj\.weight$|c_proj\.weight$/.test(path)) return residual;
  if (path.endsWith('c_fc.weight')) return (2 * width) ** -0.5;
  if (path.startsWith('token_embedding')) return 0.02;
  if (path === 'positional_embedding') return 0.01;
  if (path.endsWith('positional_embedding')) return 0.05;
  return width ** -0.5;
}

/** Parameters from a saved file. @throws TrainingError where the file belongs to another network */
export function savedParameters(source: TensorSource): ParameterSource {
  return (path, shape) => {
    const entry = source.entries.get(path);
    if (!entry || entry.shape.join() !== shape.join()) {
      throw new TrainingError(
        'training/state',
        `${source.path} has ${entry ? `shape [${entry.shape.join(', ')}]` : 'nothing'} for ${path}; expected [${shape.join(', ')}]`,
        { path },
      );
    }
    return tf.tensor(source.read(path), shape);
  };
}
