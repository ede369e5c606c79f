import { WeightsError } from '../errors';
import type { ReusedBytes } from './reused-bytes';
import { shownName } from '../files/shown-name';
import type { LeftOut, TensorEntry, TensorSource } from './tensor-source';

/** Several files that together hold one model. */
export class ShardedTensorSource implements TensorSource {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly format: TensorSource['format'];
  readonly metadata: Readonly<Record<string, string>>;
  readonly leftOut: ReadonlyMap<string, LeftOut>;

  /**
   * @param shardOf which file holds a tensor
   * @param shards the files, open; they are closed with this source
   */
  constructor(
    readonly path: string,
    private readonly shardOf: ReadonlyMap<string, string>,
    private readonly shards: ReadonlyMap<string, TensorSource>,
  ) {
    const [first] = shards.values();
    this.format = first?.format ?? 'safetensors';
    this.metadata = first?.metadata ?? {};
    this.leftOut = new Map([...shards.values()].flatMap(({ leftOut }) => [...leftOut]));
    this.entries = new Map(
      [...shardOf].flatMap(([name, file]) => {
        const entry = shards.get(file)?.entries.get(name);
        // The index names what the shard cannot read, too.
        if (!entry && this.leftOut.has(name)) return [];
        if (!entry)
          throw new WeightsError(
            'weights/missing',
            `${path}: the index says that ${shownName(file)} holds ${shownName(name)}, but it does not`,
            { tensor: name, file },
          );
        return [[name, entry] as const];
      }),
    );
  }

  read(name: string): Float32Array {
    return this.holder(name).read(name);
  }

  readRows(name: string, rows: readonly number[]): Float32Array {
    return this.holder(name).readRows(name, rows);
  }

  readDoubles(name: string): Float64Array {
    return this.holder(name).readDoubles(name);
  }

  readIntegers(name: string): Int32Array {
    return this.holder(name).readIntegers(name);
  }

  readStored(name: string, target: ReusedBytes): Uint8Array | undefined {
    return this.holder(name).readStored(name, target);
  }

  close(): void {
    for (const shard of this.shards.values()) shard.close();
  }

  private holder(name: string): TensorSource {
    const shard = this.shards.get(this.shardOf.get(name) ?? '');
    if (!shard)
      throw new WeightsError('weights/missing', `${this.path} has no tensor named ${shownName(name)}`, {
        path: this.path,
        tensor: name,
      });
    return shard;
  }
}
