import * as tf from '@tensorflow/tfjs';
import { causalMask, attend } from './multi-head-attention';
import { ResidualBlock } from './residual-block';

/**
 * How the rows `[1, T, D]` of a `BranchingBlock` are laid out: S stems of P tokens each, then, stem by stem, B branches
 * of R tokens that continue it. T = S·P + S·B·R.
 */
export interface Branching {
  readonly stems: number; // S
  readonly stemLength: number; // P
  readonly branches: number; // B
  readonly branchLength: number; // R
}

/**
 * A causal block over sequences that share a beginning. A token does not see later tokens, so the common beginning,
 * the stem, is the same in all sequences that share it and is computed once; a branch sees its stem and itself. Equal
 * to a `ResidualBlock` over the S·B whole sequences, of whose S·B·(P + R) tokens it computes S·P + S·B·R.
 */
export class BranchingBlock extends ResidualBlock {
  static override readonly className: string = 'BranchingBlock';

  /**
   * @param rows stems and branches, `[1, T, D]`
   * @param only rows whose outputs are wanted; all without it
   * @returns `[1, T, D]`, or `[1, K, D]` of K rows that are wanted
   */
  branch(rows: tf.Tensor3D, branching: Branching, only?: tf.Tensor1D): tf.Tensor3D {
    return tf.tidy(() => {
      const heads = this.attendBranches(this.firstNorm.apply(rows) as tf.Tensor3D, branching); // [H, T, d]
      const [count, total, depth] = heads.shape;
      const joined = tf.reshape(tf.transpose(heads, [1, 0, 2]), [total, count * depth]); // [T, D]
      const wanted = (all: tf.Tensor): tf.Tensor => tf.expandDims(only ? tf.gather(all, only) : all, 0); // [1, K, D]
      const attended = this.attention.projectOutput(wanted(joined));
      return this.feedForward(tf.add(wanted(tf.squeeze(rows, [0])), attended)) as tf.Tensor3D;
    });
  }

  private attendBranches(normed: tf.Tensor3D, { stems, stemLength, branches, branchLength }: Branching): tf.Tensor3D {
    const { queries, keys, values } = this.attention.project(normed); // [H, T, d] each
    const [heads, total, depth] = queries.shape;
    const parts = [stems * stemLength, total - stems * stemLength];
    const apart = (all: tf.Tensor3D): { stem: tf.Tensor3D; branch: tf.Tensor3D } => {
      const [stem, branch] = tf.split(all, parts, 1) as [tf.Tensor3D, tf.Tensor3D];
      return {
        stem: tf.reshape(stem, [heads * stems, stemLength, depth]), // [H·S, P, d]
        branch: tf.reshape(branch, [heads * stems * branches, branchLength, depth]), // [H·S·B, R, d]
      };
    };
    const [q, k, v] = [apart(queries), apart(keys), apart(values)];
    const ofStems = attend(q.stem, k.stem, v.stem, true); // [H·S, P, d]

    const abreast = [heads * stems, branches * branchLength, depth] as [number, number, number]; // all branches of a stem
    const each = [heads * stems * branches, branchLength] as const;
    const toStem = tf.reshape(tf.matMul(tf.reshape(q.branch, abreast), k.stem, false, true), [...each, stemLength]);
    const toSelf = tf.add(tf.matMul(q.branch, k.branch, false, true), causalMask(branchLength)); // [H·S·B, R, R]
    const weights = tf.softmax(tf.concat([toStem, toSelf], 2)); // [H·S·B, R, P + R]
    const [onStem, onSelf] = tf.split(weights, [stemLength, branchLength], 2) as [tf.Tensor3D, tf.Tensor3D];
    const fromStem = tf.matMul(tf.reshape(onStem, [abreast[0], abreast[1], stemLength]), v.stem); // [H·S, B·R, d]
    const fromSelf = tf.reshape(tf.matMul(onSelf, v.branch), abreast); // [H·S, B·R, d]
    const ofBranches = tf.add(fromStem, fromSelf);
    return tf.concat(
      [
        tf.reshape(ofStems, [heads, parts[0] as number, depth]),
        tf.reshape(ofBranches, [heads, parts[1] as number, depth]),
      ],
      1,
    );
  }
}
tf.serialization.registerClass(BranchingBlock, 'crane');
