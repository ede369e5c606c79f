/**
 * Kernels of the WebAssembly backend that are missing, slow or wrong in the package, in the form that a
 * transformer with gradients needs. They are registered before the backend starts.
 */
import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { KernelConfig, KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';

/** The C++ product: ids and shapes of both factors, whether each is transposed, id of the result. */
type MatMulFunction = (
  aId: number,
  aShape: Uint8Array,
  aRank: number,
  bId: number,
  bShape: Uint8Array,
  bRank: number,
  transposeA: number,
  transposeB: number,
  outId: number,
) => void;

/** What the package's types leave out: Emscripten's way to a C++ function by name, and the heap. */
interface WasmWithCalls {
  readonly wasm: {
    cwrap(name: 'BatchMatMul', result: null, argumentTypes: readonly string[]): MatMulFunction;
    readonly HEAPU8: Uint8Array;
  };
}

/**
 * The C++ product keeps what it has made of a right factor, which takes a quarter of the time of 200 rows, for as long as
 * that tensor lives: good for weights, a second copy of everything else. WebAssembly has 4 GiB in all.
 */
const KEPT_BELOW_HEAP_BYTES = 2.5 * 2 ** 30;

/** How the leading (batch) dimensions of a product's two factors combine. */
type Pairing =
  | { readonly kind: 'one right factor' }
  | { readonly kind: 'one by one'; readonly aRepeats: boolean }
  | { readonly kind: 'general' };

/**
 * Batched and transposed products, several times faster than the package's own, whose vectorised routine takes only
 * one plain product at a time: transposes are made explicit, then each product of the batch is handed over in place.
 */
export function registerBatchMatMul(): void {
  const original = wasmKernel('BatchMatMul');
  const transpose = wasmKernel('Transpose').kernelFunc;
  let multiply: MatMulFunction | null = null;
  /** Right factors that will be used again, with their number of rows: in another shape they are another factor. */
  const lasting = new WeakMap<object, number>();

  replace(original, {
    setupFunc: (backend) => {
      original.setupFunc?.(backend);
      multiply = (backend as WasmWithCalls).wasm.cwrap('BatchMatMul', null, [
        ...['number', 'array', 'number'], // id, shape and rank of a
        ...['number', 'array', 'number'], // the same of b
        ...['number', 'number', 'number'], // transposeA, transposeB, id of the result
      ]);
    },
    kernelFunc: (call) => {
      const backend = call.backend as BackendWasm;
      const { a, b } = call.inputs;
      const { transposeA, transposeB } = call.attrs as { transposeA?: boolean; transposeB?: boolean };
      if (multiply === null || a === undefined || b === undefined || a.dtype !== 'float32' || b.dtype !== 'float32') {
        return original.kernelFunc(call);
      }
      const aBatch = a.shape.slice(0, -2);
      const bBatch = b.shape.slice(0, -2);
      const pairing = pair(aBatch, bBatch);
      if (pairing.kind === 'general' || tf.util.sizeFromShape(a.shape) === 0 || tf.util.sizeFromShape(b.shape) === 0) {
        return original.kernelFunc(call);
      }

      const left = transposeA === true ? swapLastTwo(a, transpose, backend) : a; // [..., m, k]
      const right = transposeB === true ? swapLastTwo(b, transpose, backend) : b; // [..., k, n]
      const [m, k] = lastTwo(left.shape);
      const [, n] = lastTwo(right.shape);
      const out = backend.makeOutput(
        [...tf.broadcast_util.assertAndGetBroadcastShape(aBatch, bBatch), m, n],
        'float32',
      );
      const product = productOf(multiply, backend, left, right, out);

      if (pairing.kind === 'one right factor') {
        const rows = tf.util.sizeFromShape(aBatch) * m;
        if (!lasting.has(right.dataId) && isVariable(right)) lasting.set(right.dataId, k);
        if (lasting.get(right.dataId) === k && heapBytes(backend) < KEPT_BELOW_HEAP_BYTES) {
          const shapes = [shapeBytes([1, rows, k]), shapeBytes([1, k, n])] as const;
          multiply(idOf(backend, left), shapes[0], 3, idOf(backend, right), shapes[1], 3, 0, 0, idOf(backend, out));
        } else {
          product({ rows, k, n }, 0, 0, 0);
          // What is used once may be used again.
          if (!lasting.has(right.dataId)) lasting.set(right.dataId, k);
        }
      } else {
        const count = tf.util.sizeFromShape(bBatch);
        for (let i = 0; i < count; i++) {
          product({ rows: m, k, n }, pairing.aRepeats ? 0 : i * m * k, i * k * n, i * m * n);
        }
      }
      if (left !== a) backend.disposeData(left.dataId);
      if (right !== b) backend.disposeData(right.dataId);
      return out;
    },
  });
}

function pair(aBatch: readonly number[], bBatch: readonly number[]): Pairing {
  const aCount = tf.util.sizeFromShape([...aBatch]);
  const bCount = tf.util.sizeFromShape([...bBatch]);
  if (bCount === 1) return { kind: 'one right factor' };
  if (aCount === 1) return { kind: 'one by one', aRepeats: true };
  if (tf.util.arraysEqual([...aBatch], [...bBatch])) return { kind: 'one by one', aRepeats: false };
  return { kind: 'general' };
}

/** One plain product on parts of two tensors, written into a part of a third; offsets count elements. */
function productOf(
  multiply: MatMulFunction,
  backend: BackendWasm,
  left: TensorInfo,
  right: TensorInfo,
  out: TensorInfo,
) {
  return (size: { rows: number; k: number; n: number }, leftAt: number, rightAt: number, outAt: number): void => {
    const { rows, k, n } = size;
    const parts = [
      partOf(backend, left, leftAt, [1, rows, k]),
      partOf(backend, right, rightAt, [1, k, n]),
      partOf(backend, out, outAt, [1, rows, n]),
    ] as const;
    const [a, b, result] = parts;
    multiply(
      idOf(backend, a),
      shapeBytes(a.shape),
      3,
      idOf(backend, b),
      shapeBytes(b.shape),
      3,
      0,
      0,
      idOf(backend, result),
    );
    for (const part of parts) forgetPart(backend, part);
  };
}

/** A tensor record over memory that another tensor owns. */
function partOf(backend: BackendWasm, whole: TensorInfo, offset: number, shape: number[]): TensorInfo {
  return backend.makeOutput(
    shape,
    'float32',
    backend.getMemoryOffset(whole.dataId) + offset * Float32Array.BYTES_PER_ELEMENT,
  );
}

/** Takes the record away but leaves the memory, which is not the part's own. */
function forgetPart(backend: BackendWasm, part: TensorInfo): void {
  backend.wasm.tfjs.disposeData(idOf(backend, part));
  backend.dataIdMap.delete(part.dataId);
}

function isVariable({ dataId }: TensorInfo): boolean {
  return Object.values(tf.engine().registeredVariables).some((variable) => variable.dataId === dataId);
}

function heapBytes(backend: BackendWasm): number {
  return (backend as unknown as WasmWithCalls).wasm.HEAPU8.length;
}

function idOf(backend: BackendWasm, info: TensorInfo): number {
  return backend.dataIdMap.get(info.dataId).id;
}

function shapeBytes(shape: readonly number[]): Uint8Array {
  return new Uint8Array(new Int32Array(shape).buffer);
}

function swapLastTwo(x: TensorInfo, transpose: KernelFunc, backend: BackendWasm): TensorInfo {
  const rank = x.shape.length;
  const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
  return transpose({ inputs: { x }, attrs: { perm }, backend }) as TensorInfo;
}

function lastTwo(shape: readonly number[]): readonly [number, number] {
  return [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
}

/** Sums rows into segments, the gradient of `tf.gather`; rows with a negative segment are left out. */
export function registerUnsortedSegmentSum(): void {
  tf.registerKernel({
    kernelName: 'UnsortedSegmentSum',
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const wasm = backend as BackendWasm;
      const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
      const { numSegments } = attrs as { numSegments?: number };
      const rowShape = x.shape.slice(segmentIds.shape.length);
      const rowSize = tf.util.sizeFromShape(rowShape);
      const out = wasm.makeOutput([numSegments ?? 0, ...rowShape], x.dtype);
      // Read after the allocation: it may move the heap.
      const sums = wasm.typedArrayFromHeap(out).fill(0);
      const values = wasm.typedArrayFromHeap(x);
      wasm.typedArrayFromHeap(segmentIds).forEach((segment, row) => {
        if (segment < 0) return;
        for (let column = 0; column < rowSize; column++) {
          const at = segment * rowSize + column;
          sums[at] = (sums[at] ?? 0) + (values[row * rowSize + column] ?? 0);
        }
      });
      return out;
    },
  });
}

/** The package's running sum writes outside its memory for a negative axis. */
export function registerCumsum(): void {
  const original = wasmKernel('Cumsum');
  replace(original, {
    kernelFunc: (call) => {
      const axis = (call.attrs as { axis?: number }).axis ?? 0;
      const rank = call.inputs['x']?.shape.length ?? 0;
      return original.kernelFunc({ ...call, attrs: { ...call.attrs, axis: axis < 0 ? axis + rank : axis } });
    },
  });
}

/** A kernel as the package has it, or as it was last replaced. */
export function wasmKernel(name: string): KernelConfig {
  return tf.getKernel(name, 'wasm');
}

/** Replaces a kernel of the backend, which must not have started yet. */
export function replace(original: KernelConfig, changes: Partial<KernelConfig>): void {
  tf.unregisterKernel(original.kernelName, 'wasm');
  tf.registerKernel({ ...original, ...changes });
}
