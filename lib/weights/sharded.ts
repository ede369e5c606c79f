import { WeightsError } from '../errors';
import type { ReusedBytes } from './reused-bytes';
import type { TensorEntry, TensorSource } from './tensor-source';

/** Several files that together hold one model. */
export class ShardedTensorSource implements TensorSource {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly format: TensorSource['format'];
  readonly metadata: Readonly<Record<string, string>>;

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
    this.entries = new Map([...shardOf].map(([name, file]) => {
      const entry = shards.get(file)?.entries.get(name);
      if (!entry) throw new WeightsError('weights/missing', `${path}: the index says that ${file} holds ${name}, but it does not`, { tensor: name, file });
      return [name, entry];
    }));
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
    if (!shard) throw new WeightsError('weights/missing', `${this.path} has no tensor named ${name}`, { path: this.path, tensor: name });
    return shard;
  }
}
