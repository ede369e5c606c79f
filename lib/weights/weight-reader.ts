import { editDistance } from '../nearest-name';
import { WeightsError } from '../errors';
import { elementCount } from './elements';
import { shownName } from '../files/shown-name';
import type { TensorSource } from './tensor-source';

/** Which stored tensors make up one that a network asks for: joined along the first axis, then perhaps transposed. */
export interface StoredParts {
  readonly from: readonly string[];
  readonly transposed?: boolean;
}

/** From the name that a network uses to the names in the file. Without one, both are the same. */
export type NameMapping = (path: string) => StoredParts;

export interface WeightReaderOptions {
  readonly mapping?: NameMapping;
  /** Stored tensors that no network needs and that are not a mistake, such as `position_ids`. */
  readonly ignorable?: readonly RegExp[];
}

/** Names are compared character by character: only with those of about their length, and not with all of a huge file. */
const FARTHEST = 40;
const MOST_COMPARED = 3000;

const sameName: NameMapping = (path) => ({ from: [path] });
const showShape = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/**
 * Hands out the tensors of a file by the names that a network uses, checks each shape, and can say at the end whether
 * anything was left over: a file that only half fits is an error, never a silently different network.
 */
export class WeightReader {
  private readonly mapping: NameMapping;
  private readonly ignorable: readonly RegExp[];
  private readonly taken = new Set<string>();

  constructor(
    readonly source: TensorSource,
    options: WeightReaderOptions = {},
  ) {
    this.mapping = options.mapping ?? sameName;
    this.ignorable = options.ignorable ?? [];
  }

  has(path: string): boolean {
    return this.mapping(path).from.every((name) => this.source.entries.has(name));
  }

  /** @throws WeightsError where the tensor, or a part of it, is missing */
  shapeOf(path: string): readonly number[] {
    return this.joinedShape(path, undefined);
  }

  /**
   * Reads a tensor.
   * @param path the name that the network uses
   * @param shape the shape that it needs
   * @returns values in row-major order, owned by the caller
   * @throws WeightsError where the tensor is missing or has another shape; the message shows both and the nearest names
   */
  take(path: string, shape: readonly number[]): Float32Array {
    const { from, transposed } = this.locate(path, shape);
    const values = from.length === 1 ? this.source.read(from[0] as string) : this.join(from, elementCount(shape));
    return transposed ? transpose(values, shape[0] as number, shape[1] as number) : values;
  }

  /**
   * Reads rows of a matrix, such as some tokens' of a large table.
   * @param rows which, counted from 0
   * @param columns how many the matrix must have
   * @returns `[rows.length, columns]`, row-major, owned by the caller
   * @throws as `take`
   */
  takeRows(path: string, rows: readonly number[], columns: number): Float32Array {
    const { from, transposed } = this.locate(path, [this.shapeOf(path)[0] ?? 0, columns]);
    const [name, ...others] = from as [string, ...string[]];
    if (others.length > 0 || transposed)
      throw new WeightsError(
        'weights/shape',
        `${this.source.path}: rows of ${this.spell(path)} are not stored as such`,
        { tensor: path },
      );
    return this.source.readRows(name, rows);
  }

  /**
   * The stored tensors that a tensor is made of, for those who read them on their own; they count as taken.
   * @throws as `take`
   */
  locate(path: string, shape: readonly number[]): StoredParts {
    const found = this.joinedShape(path, shape);
    if (found.length !== shape.length || found.some((size, axis) => size !== shape[axis])) {
      throw new WeightsError(
        'weights/shape',
        `${this.source.path}: ${this.spell(path)} has shape ${showShape(found)}, but ${showShape(shape)} is needed; ` +
          `the weights belong to another network${this.nearest(this.mapping(path).from[0] ?? path)}`,
        { path: this.source.path, tensor: path, found, expected: shape },
      );
    }
    const parts = this.mapping(path);
    for (const name of parts.from) this.taken.add(name);
    return parts;
  }

  /**
   * Checks that everything in the file was used.
   * @param ignorable further names that may remain
   * @throws WeightsError listing what was left, with shapes
   */
  finish(ignorable: readonly RegExp[] = []): void {
    const allowed = [...this.ignorable, ...ignorable];
    const unread = [...this.source.leftOut.values()].filter(({ isTensor }) => isTensor);
    const left = [
      ...[...this.source.entries.values()].map(({ name, shape }) => ({ name, shown: showShape(shape) })),
      ...unread.map(({ name, kind }) => ({ name, shown: `(${kind})` })),
    ].filter(({ name }) => !this.taken.has(name) && !allowed.some((pattern) => pattern.test(name)));
    if (left.length === 0) return;
    const shown = left
      .slice(0, 8)
      .map((tensor) => `${shownName(tensor.name)} ${tensor.shown}`)
      .join(', ');
    throw new WeightsError(
      'weights/surplus',
      `${this.source.path} holds ${left.length === 1 ? 'a tensor' : `${left.length} tensors`} that this network does not use: ${shown}${left.length > 8 ? ', …' : ''}`,
      { path: this.source.path, tensors: left.map(({ name }) => name) },
    );
  }

  private joinedShape(path: string, wanted: readonly number[] | undefined): readonly number[] {
    const { from, transposed } = this.mapping(path);
    const shapes = from.map((name) => this.source.entries.get(name)?.shape ?? this.missing(path, name, wanted));
    const [first] = shapes as [readonly number[]];
    if (shapes.some((shape) => showShape(shape) !== showShape(first)) || (transposed && first.length !== 2)) {
      throw new WeightsError(
        'weights/shape',
        `${this.source.path}: ${this.spell(path)} cannot be put together from shapes ${shapes.map(showShape).join(', ')}`,
        { path: this.source.path, tensor: path, found: shapes },
      );
    }
    if (transposed) return [...first].reverse();
    return from.length === 1 ? first : [(first[0] ?? 0) * from.length, ...first.slice(1)];
  }

  private join(names: readonly string[], count: number): Float32Array {
    const values = new Float32Array(count);
    let at = 0;
    for (const name of names) {
      const part = this.source.read(name);
      values.set(part, at);
      at += part.length;
    }
    return values;
  }

  private missing(path: string, name: string, wanted: readonly number[] | undefined): never {
    const left = this.source.leftOut.get(name);
    if (left) {
      throw new WeightsError(
        'weights/dtype',
        `${this.source.path}: ${this.spell(path)} is there but not read (${left.kind}); save it as a plain tensor of numbers`,
        { path: this.source.path, tensor: path, stored: name, kind: left.kind },
      );
    }
    throw new WeightsError(
      'weights/missing',
      `${this.source.path} lacks ${this.spell(path)}${wanted ? ` of shape ${showShape(wanted)}` : ''}${this.nearest(name)}`,
      { path: this.source.path, tensor: path, stored: name, expected: wanted },
    );
  }

  private spell(path: string): string {
    const { from } = this.mapping(path);
    return from.length === 1 && from[0] === path ? path : `${path} (here ${from.join(' + ')})`;
  }

  private nearest(name: string): string {
    const ranked = [...this.source.entries.values()]
      .filter((entry) => entry.name !== name && Math.abs(entry.name.length - name.length) <= FARTHEST)
      .slice(0, MOST_COMPARED)
      .map((entry) => ({ entry, distance: editDistance(name, entry.name) }))
      .sort((a, b) => a.distance - b.distance)
      .slice(0, 3);
    if (ranked.length === 0) return '';
    return `. Nearest names: ${ranked.map(({ entry }) => `${shownName(entry.name)} ${showShape(entry.shape)}`).join(', ')}`;
  }
}

/** Turns stored `[columns, rows]` values into `[rows, columns]`. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      turned[row * columns + column] = values[column * rows + row] as number;
  }
  return turned;
}
