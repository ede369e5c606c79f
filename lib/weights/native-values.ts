import * as tf from '@tensorflow/tfjs';
import type { ElementType } from './tensor-source';

/** An operation's attribute, as the binding takes it. */
interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

interface TensorMetadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** What is used of the C++ binding behind tfjs-node's backend: tensors of any type by number, and operations by name. */
interface Binding {
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_UINT8: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  createTensor(shape: number[], dtype: number, values: Uint8Array | Int32Array): number;
  deleteTensor(id: number): void;
  executeOp(name: string, attributes: Attribute[], inputs: number[], outputs: number): TensorMetadata[];
}

interface NativeBackend {
  readonly binding: Binding;
  createOutputTensor(metadata: TensorMetadata): tf.Tensor;
}

/** TensorFlow's numbers of the types that tfjs has no name for (tensorflow/c/tf_datatype.h). */
const TF_BFLOAT16 = 14;
const TF_HALF = 19;

/** Types that TensorFlow converts here; others are rare in weights and small. */
export type NativeType = Extract<ElementType, 'float32' | 'float16' | 'bfloat16'>;

export const isNativeType = (dtype: ElementType): dtype is NativeType =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';

/**
 * Stored numbers to float32 tensors by TensorFlow's own operations: several times faster than a loop in JavaScript, on all
 * cores, and without an array of the values beside the tensor that would wait for the garbage collector.
 */
export class NativeValues {
  private constructor(private readonly backend: NativeBackend) {}

  /** The converter of the current backend; undefined where that is not native TensorFlow. */
  static current(): NativeValues | undefined {
    if (tf.getBackend() !== 'tensorflow') return undefined;
    const backend: unknown = tf.backend();
    return isNativeBackend(backend) ? new NativeValues(backend) : undefined;
  }

  /**
   * A float32 tensor of little-endian stored numbers, row-major. It has memory of its own: `bytes` may be overwritten
   * afterwards.
   * @param turned whether to give the transpose of the stored matrix
   */
  tensor(bytes: Uint8Array, dtype: NativeType, shape: readonly number[], turned = false): tf.Tensor {
    const { binding } = this.backend;
    const { TF_FLOAT, TF_UINT8 } = binding;
    const type = { float32: TF_FLOAT, float16: TF_HALF, bfloat16: TF_BFLOAT16 }[dtype];
    const made: number[] = [];
    const step = (operation: string, attributes: Attribute[], ...more: number[]): TensorMetadata => {
      const result = binding.executeOp(operation, attributes, [made.at(-1) as number, ...more], 1)[0] as TensorMetadata;
      made.push(result.id);
      return result;
    };
    try {
      made.push(binding.createTensor([...shape, dtype === 'float32' ? 4 : 2], TF_UINT8, bytes));
      let result = step('Bitcast', [this.type('T', TF_UINT8), this.type('type', type)]);
      if (turned) {
        const order = binding.createTensor([2], binding.TF_INT32, Int32Array.of(1, 0));
        made.unshift(order);
        // Before widening, where a matrix is half as large.
        result = step('Transpose', [this.type('T', type), this.type('Tperm', binding.TF_INT32)], order);
      }
      // All so far may share the memory of `bytes`; a transpose does where a side is 1.
      if (dtype !== 'float32')
        result = step('Cast', [this.type('SrcT', type), this.type('DstT', TF_FLOAT), this.truncate]);
      else if (!turned || shape.includes(1)) result = step('DeepCopy', [this.type('T', TF_FLOAT)]);
      made.pop();
      return this.backend.createOutputTensor(result);
    } finally {
      made.forEach((id) => binding.deleteTensor(id));
    }
  }

  private type(name: string, value: number): Attribute {
    return { name, type: this.backend.binding.TF_ATTR_TYPE, value };
  }

  private get truncate(): Attribute {
    return { name: 'Truncate', type: this.backend.binding.TF_ATTR_BOOL, value: false };
  }
}

function isNativeBackend(backend: unknown): backend is NativeBackend {
  return typeof backend === 'object' && backend !== null && 'binding' in backend && 'createOutputTensor' in backend;
}
