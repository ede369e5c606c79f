import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { replace, wasmKernel } from './wasm-kernels';

/** Slices, which the package takes from a copy of the whole tensor, and without checking where that ends. */
export function registerSlices(): void {
  const slice = wasmKernel('Slice');
  replace(slice, {
    kernelFunc: (call) => {
      const x = call.inputs['x'] as TensorInfo;
      if (x.dtype === 'string') return slice.kernelFunc(call);
      const asked = call.attrs as { begin: number[]; size: number[] };
      const [begin, size] = tf.slice_util.parseSliceParams(x, asked.begin, asked.size) as [number[], number[]];
      tf.slice_util.assertParamsValid(x, begin, size);
      return sliceOf(call.backend as BackendWasm, x, begin, size);
    },
  });
  replace(wasmKernel('SplitV'), {
    kernelFunc: (call) => {
      const x = call.inputs['x'] as TensorInfo;
      const { numOrSizeSplits, axis } = call.attrs as { numOrSizeSplits: number | number[]; axis: number };
      const along = tf.util.parseAxisParam(axis, x.shape)[0] as number;
      let first = 0;
      return tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, along).map((count) => {
        const begin = x.shape.map((_, dimension) => (dimension === along ? first : 0));
        first += count;
        return sliceOf(
          call.backend as BackendWasm,
          x,
          begin,
          x.shape.map((length, dimension) => (dimension === along ? count : length)),
        );
      });
    },
  });
}

function sliceOf(backend: BackendWasm, x: TensorInfo, begin: readonly number[], size: readonly number[]): TensorInfo {
  const out = backend.makeOutput([...size], x.dtype);
  const count = tf.util.sizeFromShape([...size]);
  if (count === 0) return out;
  // Read after the allocation: it may move the heap.
  const from = backend.typedArrayFromHeap(x);
  const to = backend.typedArrayFromHeap(out);
  // Whole rows, planes and so on of the last axes lie in one piece.
  let cut = x.shape.length - 1;
  while (cut >= 0 && size[cut] === x.shape[cut]) cut--;
  const strides = [...tf.util.computeStrides(x.shape), 1];
  const start = begin.reduce((sum, index, dimension) => sum + index * (strides[dimension] as number), 0);
  const piece = cut < 0 ? count : (size[cut] as number) * (strides[cut] as number);
  const outer = size.slice(0, Math.max(0, cut));
  const index = outer.map(() => 0);
  for (let at = 0, offset = start; at < count; at += piece) {
    to.set(from.subarray(offset, offset + piece), at);
    for (let dimension = outer.length - 1; dimension >= 0; dimension--) {
      const stride = strides[dimension] as number;
      const length = outer[dimension] as number;
      offset += stride;
      index[dimension] = (index[dimension] as number) + 1;
      if (index[dimension] !== length) break;
      index[dimension] = 0;
      offset -= length * stride;
    }
  }
  return out;
}
