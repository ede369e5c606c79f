import * as tf from '@tensorflow/tfjs';
import { UsageError, WeightsError } from '../errors';
import type { Activation } from '../layers/mlp';
import type { TextSizes } from './clip-sizes';
import { CraneLayer, type CraneLayerConfig } from '../layers/crane-layer';
import { BranchingBlock } from '../layers/branching-block';
import type { Axes } from '../layers/input-shapes';
import { LayerNorm } from '../layers/layer-norm';

export interface ClipTextConfig extends CraneLayerConfig {
  sizes: TextSizes;
  embedDimension: number;
  activation: Activation;
  /** The vocabulary ids with a row in the token table, ascending, where it does not hold the whole vocabulary. */
  tokenIds?: readonly number[];
}

/**
 * CLIP's text transformer (docs/method.md#text-tower). Its causal mask makes everything after the end token irrelevant,
 * so sequences are
 * as short as the longest prompt: 17 to 20 tokens instead of 77, with equal results.
 * Parameters are those of OpenAI's state dict outside `visual.`.
 *
 * As a layer: token ids, int32 `[B, L]`, or embedded prompts `[B, L, D]` and the positions of their end tokens, int32
 * `[B]` or `[B, 1]`, to text features `[B, E]`, not normalised.
 */
export class ClipTextEncoder extends CraneLayer {
  static readonly className = 'ClipTextEncoder';
  private readonly tokenTable: tf.LayerVariable;
  private readonly positionEmbedding: tf.LayerVariable;
  private readonly blocks: readonly BranchingBlock[];
  private readonly finalNorm: LayerNorm;
  private readonly projection: tf.LayerVariable;
  private readonly rowOfId: ReadonlyMap<number, number> | undefined;

  constructor(readonly config: ClipTextConfig) {
    super({ path: '', ...config });
    const { sizes, embedDimension, activation, tokenIds } = config;
    const { width, heads, layers, contextLength, vocabularySize, hidden, epsilon } = sizes;
    this.rowOfId = tokenIds && new Map(tokenIds.map((id, row) => [id, row]));
    this.tokenTable = this.parameter('token_embedding.weight', [tokenIds?.length ?? vocabularySize, width]);
    this.positionEmbedding = this.parameter('positional_embedding', [contextLength, width]);
    this.blocks = Array.from({ length: layers }, (_, index) =>
      this.own(
        new BranchingBlock({
          ...this.inside(`transformer.resblocks.${index}`),
          width,
          heads,
          activation,
          hidden,
          epsilon,
          causal: true,
        }),
      ),
    );
    this.finalNorm = this.own(
      new LayerNorm({ ...this.inside('ln_final'), width, ...(epsilon === undefined ? {} : { epsilon }) }),
    );
    this.projection = this.parameter('text_projection', [width, embedDimension]);
  }

  /**
   * Looks up token embeddings.
   * @param ids `[B, L]` token ids, row by row
   * @returns `[B, L, D]`
   * @throws WeightsError for an id without a row in the token table
   */
  embed(ids: readonly (readonly number[])[]): tf.Tensor3D {
    const length = ids[0]?.length ?? 0;
    const rows = Int32Array.from(ids.flat(), (id) => this.rowOf(id));
    return tf.tidy(() => {
      const gathered = tf.gather(this.tokenTable.read() as tf.Tensor2D, tf.tensor1d(rows, 'int32')); // [B·L, D]
      return tf.reshape(gathered, [ids.length, length, this.config.sizes.width]);
    });
  }

  private rowOf(id: number): number {
    const isId = Number.isInteger(id) && id >= 0 && id < this.config.sizes.vocabularySize;
    const row = this.rowOfId ? this.rowOfId.get(id) : isId ? id : undefined;
    if (row === undefined) {
      throw new WeightsError(
        'weights/token-missing',
        `token ${id} has no row in this backbone's token table of ${this.tokenTable.shape[0]} rows; ` +
          'use words that the backbone was trained with, or a backbone with the whole vocabulary',
        { token: id, rows: this.tokenTable.shape[0] },
      );
    }
    return row;
  }

  /**
   * Encodes embedded prompts.
   * @param embedded `[B, L, D]`, L at most the context length
   * @param endPositions position of each prompt's end token; its output is the text's feature
   * @param deepTokens learned tokens by block: entry i overwrites rows 1, 2, … at the input of block i + 2
   *   (docs/method.md#prompts),
   *   `[B, T, D]` each
   * @returns `[B, E]`, not normalised
   */
  forward(
    embedded: tf.Tensor3D,
    endPositions: readonly number[],
    deepTokens: readonly tf.Tensor3D[] = [],
  ): tf.Tensor2D {
    this.refuseTooLong(embedded.shape[1]);
    return tf.tidy(() => {
      const [batch, length, width] = embedded.shape;
      const positions = tf.slice(this.positionEmbedding.read() as tf.Tensor2D, [0, 0], [length, width]);
      let tokens: tf.Tensor3D = tf.add(embedded, positions); // [B, L, D]
      this.blocks.forEach((block, index) => {
        const deep = index === 0 ? undefined : deepTokens[index - 1];
        tokens = block.apply(deep ? overwriteAfterStart(tokens, deep) : tokens) as tf.Tensor3D;
      });
      const rows = endPositions.map((position, row) => row * length + position);
      const ends = tf.gather(tf.reshape(tokens, [batch * length, width]), tf.tensor1d(rows, 'int32')); // [B, D]
      return this.projectEnds(ends as tf.Tensor2D); // [B, E]
    });
  }

  /**
   * Encodes embedded prompts that share beginnings, each computed once. Equal to `forward` of the whole prompts, stem
   * by stem.
   * @param stems the common beginnings, `[S, P, D]`; deep tokens overwrite positions in these
   * @param branches what follows each stem, `[S, B, R, D]`
   * @param ends position of the end token in the branches of each stem, S numbers from 0 to R - 1
   * @param deepTokens as in `forward`, `[S, T, D]` each with T < P
   * @returns `[S·B, E]`, not normalised
   */
  forwardBranches(
    stems: tf.Tensor3D,
    branches: tf.Tensor4D,
    ends: readonly number[],
    deepTokens: readonly tf.Tensor3D[] = [],
  ): tf.Tensor2D {
    const [stemCount, stemLength, width] = stems.shape;
    const [, branchCount, branchLength] = branches.shape;
    const inStems = stemCount * stemLength;
    const inBranches = stemCount * branchCount * branchLength;
    this.refuseTooLong(stemLength + branchLength);
    return tf.tidy(() => {
      const positions = this.positionEmbedding.read() as tf.Tensor2D;
      const flat = (tokens: tf.Tensor, rows: number): tf.Tensor3D => tf.reshape(tokens, [1, rows, width]);
      let rows = tf.concat(
        [
          flat(tf.add(stems, tf.slice(positions, [0, 0], [stemLength, width])), inStems),
          flat(tf.add(branches, tf.slice(positions, [stemLength, 0], [branchLength, width])), inBranches),
        ],
        1,
      ) as tf.Tensor3D; // [1, S·P + S·B·R, D]
      const endRows = ends.flatMap((end, stem) =>
        Array.from(
          { length: branchCount },
          (_, branch) => inStems + (stem * branchCount + branch) * branchLength + end,
        ),
      );
      this.blocks.forEach((block, index) => {
        const deep = index === 0 ? undefined : deepTokens[index - 1];
        if (deep) {
          const [ofStems, ofBranches] = tf.split(rows, [inStems, inBranches], 1) as [tf.Tensor3D, tf.Tensor3D];
          rows = tf.concat([flat(overwriteAfterStart(tf.reshape(ofStems, stems.shape), deep), inStems), ofBranches], 1);
        }
        const only = index === this.blocks.length - 1 ? tf.tensor1d(endRows, 'int32') : undefined;
        rows = block.branch(rows, { stems: stemCount, stemLength, branches: branchCount, branchLength }, only);
      });
      return this.projectEnds(tf.squeeze(rows, [0])); // [S·B, E]
    });
  }

  private projectEnds(ends: tf.Tensor2D): tf.Tensor2D {
    return tf.matMul(this.finalNorm.apply(ends) as tf.Tensor2D, this.projection.read() as tf.Tensor2D);
  }

  private refuseTooLong(length: number): void {
    const { contextLength } = this.config.sizes;
    if (length <= contextLength) return;
    throw new WeightsError(
      'weights/prompt-length',
      `a prompt of ${length} tokens exceeds the ${contextLength} that this text encoder accepts; use fewer context tokens or shorter words`,
      { found: length, contextLength },
    );
  }

  /**
   * Encodes tokenised texts without learned tokens. `contexts` are rows of token ids, zero-padded or not; the end
   * token is the largest id of a row. `[B, E]`, not normalised.
   */
  encode(contexts: readonly ArrayLike<number>[]): tf.Tensor2D {
    return tf.tidy(() => {
      const ends = contexts.map((row) => endPosition(row));
      const length = Math.max(...ends) + 1;
      const ids = contexts.map((row) => Array.from({ length }, (_, index) => row[index] ?? 0));
      return this.forward(this.embed(ids), ends);
    });
  }

  /**
   * The layer call, to text features `[B, E]`, not normalised: of token ids, int32 `[B, L]`, as `encode` takes them, or
   * of embedded prompts `[B, L, D]` with the positions of their end tokens, int32 `[B]` or `[B, 1]`, as `forward` takes
   * them.
   * @throws UsageError `usage/end-position` for an end token outside its prompt; WeightsError `weights/token-missing`
   *   for an id that the token table lacks, `weights/prompt-length` for prompts that are too long
   */
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [first, ends] = (Array.isArray(inputs) ? inputs : [inputs]) as [tf.Tensor, tf.Tensor?];
    if (!ends) return this.encode((first as tf.Tensor2D).arraySync());
    const positions = Array.from(ends.dataSync());
    const length = (first as tf.Tensor3D).shape[1];
    const outside = positions.find((end) => !Number.isInteger(end) || end < 0 || end >= length);
    if (outside !== undefined) {
      throw new UsageError(
        'usage/end-position',
        `an end token at position ${outside} of a prompt of ${length} tokens; expected a whole number from 0 to ${length - 1}`,
        { found: positions, length },
      );
    }
    return this.forward(first as tf.Tensor3D, positions);
  }

  protected override takes([, ends, ...more]: readonly tf.Shape[]): readonly Axes[] {
    if (ends === undefined || more.length > 0) return [['B', 'L']];
    return [
      ['B', 'L', this.config.sizes.width],
      ['B', ...(ends.length === 2 ? [1] : [])],
    ];
  }

  protected override gives([prompts = []]: readonly tf.Shape[]): readonly tf.Shape[] {
    const [batch = null, length = null] = prompts;
    // Rows of ids may be padded beyond the context length.
    if (prompts.length === 3 && length !== null) this.refuseTooLong(length);
    return [[batch, this.config.embedDimension]];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { sizes, embedDimension, activation, tokenIds } = this.config;
    return {
      ...super.getConfig(),
      sizes: { ...sizes },
      embedDimension,
      activation,
      ...(tokenIds === undefined ? {} : { tokenIds: [...tokenIds] }),
    };
  }
}
tf.serialization.registerClass(ClipTextEncoder, 'crane');

/** Position of the end token, which is the largest id. */
export function endPosition(context: ArrayLike<number>): number {
  let position = 0;
  for (let index = 1; index < context.length; index++) {
    if ((context[index] as number) > (context[position] as number)) position = index;
  }
  return position;
}

function overwriteAfterStart(tokens: tf.Tensor3D, learned: tf.Tensor3D): tf.Tensor3D {
  const [batch, length, width] = tokens.shape;
  const after = 1 + learned.shape[1];
  const start = tf.slice(tokens, [0, 0, 0], [batch, 1, width]);
  const rest = tf.slice(tokens, [0, after, 0], [batch, length - after, width]);
  return tf.concat([start, learned, rest], 1);
}
