import type * as tf from '@tensorflow/tfjs';
import { UsageError } from '../errors';

/**
 * The shape a layer accepts at one of its inputs, axis by axis: a number is that size; a name such as `B` any size,
 * equal wherever the name is repeated; `B|1` the size of `B`, or 1. A leading `…` means any number of axes, or none.
 */
export type Axes = readonly (number | string)[];

/**
 * Rejects inputs that a layer does not accept. Sizes not known yet, null in a symbolic shape, fit anywhere.
 * @param layer the layer's class and name, for the message
 * @param expected the accepted shapes, one entry per input
 * @param found the given shapes
 * @throws UsageError `usage/layer-input`
 */
export function refuseOtherShapes(layer: string, expected: readonly Axes[], found: readonly tf.Shape[]): void {
  const sizes = new Map<string, number>();
  if (expected.length === found.length && expected.every((axes, index) => fits(axes, found[index] as tf.Shape, sizes)))
    return;
  throw new UsageError(
    'usage/layer-input',
    `${layer} takes ${listed(expected)}, but was given ${found.length === 0 ? 'nothing' : listed(found)}`,
    { layer, expected, found },
  );
}

/** Whether a shape fits. Sizes of names are recorded in `sizes`, and compared if already recorded. */
function fits(axes: Axes, shape: tf.Shape, sizes: Map<string, number>): boolean {
  const isOpen = axes[0] === '…';
  const wanted = isOpen ? axes.slice(1) : axes;
  if (isOpen ? shape.length < wanted.length : shape.length !== wanted.length) return false;
  return wanted.every((axis, index) => {
    const size = shape[shape.length - wanted.length + index];
    if (size === null || size === undefined) return true;
    if (typeof axis === 'number') return size === axis;
    const name = axis.replace(/\|1$/, '');
    if (name !== axis && size === 1) return true;
    const known = sizes.get(name) ?? size;
    sizes.set(name, known);
    return size === known;
  });
}

const listed = (shapes: readonly (Axes | tf.Shape)[]): string =>
  shapes
    .map((axes) => `[${axes.map((axis) => (axis === null ? '?' : String(axis).replace('|', ' or '))).join(', ')}]`)
    .join(' and ');

/** A size computed from others, or null where one of them is unknown. */
export function sizeFrom(
  axes: readonly (number | null | undefined)[],
  size: (...axes: number[]) => number,
): number | null {
  return axes.every((axis) => typeof axis === 'number') ? size(...axes) : null;
}
