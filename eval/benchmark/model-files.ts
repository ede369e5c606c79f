import { createHash } from 'node:crypto';
import { requestOf, type CraneOptions } from '../../lib/crane';
import { openBackbone, takesPublishedPrompts } from '../../lib/methods/backbone';
import { AUXILIARY_KEY } from '../../lib/methods/checkpoint-origin';
import { openWeights, type OpenWeights } from '../../lib/methods/open-model';
import { openSpatial, spatialSourceOf, type SpatialChoice } from '../../lib/methods/spatial';
import { networkRecord } from '../../lib/methods/trained-network';
import { weightAccess, type WeightAccess } from '../../lib/weights/weight-cache';
import { canonicalJson } from './canonical-json';

/** A model's weight files: names for people to read, and hashes to tell whether they have changed. */
export interface ModelFiles {
  readonly backbone: { readonly name: string; readonly sha256: string };
  /** Null for methods that learn nothing. */
  readonly prompts: { readonly name: string; readonly sha256: string; readonly auxiliary: string | null } | null;
  readonly spatial: { readonly name: string; readonly sha256: string } | null;
}

export interface InspectedModel {
  readonly files: ModelFiles;
  /** What affects the numbers but is in no hash of a file: options, and configurations beside the weights. */
  readonly network: { readonly backbone: object; readonly spatial: object | null };
}

/** What is known about a backbone without loading its weights. */
export interface BackboneFile {
  readonly name: string;
  readonly sha256: string;
  readonly blocks: number;
  readonly network: object;
  readonly takesPublishedPrompts: boolean;
}

interface SpatialFile {
  readonly name: string;
  readonly sha256: string;
  readonly network: object;
}

type Network = Pick<CraneOptions, 'activation' | 'heads'>;

/** The options given for a backbone's network. */
export function networkOf({ activation, heads }: { readonly [K in keyof Network]?: Network[K] | undefined }): Network {
  return { ...(activation === undefined ? {} : { activation }), ...(heads === undefined ? {} : { heads }) };
}

/** Describes what `Crane.load` would load, without loading it. Each file is read once. */
export class ModelInspector {
  private readonly access: WeightAccess;
  private readonly hashes = new Map<string, Promise<string>>();

  constructor(access: Pick<CraneOptions, keyof WeightAccess>) {
    this.access = weightAccess(access);
  }

  /** The files alone. @throws as `Crane.load` for names and files */
  async filesOf(options: CraneOptions): Promise<ModelFiles> {
    return (await this.inspect(options)).files;
  }

  /** @throws as `Crane.load` for names and files */
  async inspect(options: CraneOptions): Promise<InspectedModel> {
    return this.look(await openWeights({ ...requestOf(options), ...this.access }), async (weights) => {
      const { backbone, spatial } = weights;
      return {
        files: {
          backbone: { name: backbone.name, sha256: await this.hashOf(backbone) },
          prompts: learnedFile(weights),
          spatial: spatial === undefined ? null : { name: spatial.name, sha256: await this.hashOf(spatial) },
        },
        network: {
          backbone: { ...networkRecord(backbone), preprocessing: backbone.preprocessing },
          spatial: spatial?.network ?? null,
        },
      };
    });
  }

  /** Null for no second vision model. @throws as `openSpatial` */
  async spatial(choice: SpatialChoice | undefined): Promise<SpatialFile | null> {
    const source = spatialSourceOf(choice);
    if (source === undefined) return null;
    return this.look(await openSpatial(source, this.access), async (weights) => ({
      name: weights.name,
      sha256: await this.hashOf(weights),
      network: weights.network,
    }));
  }

  /** @throws as `openBackbone` */
  async backbone(name: string, network: Network = {}): Promise<BackboneFile> {
    return this.look(await openBackbone(name, { ...this.access, ...network }), async (backbone) => ({
      name: backbone.name,
      sha256: await this.hashOf(backbone),
      blocks: backbone.sizes.vision.layers,
      network: { ...networkRecord(backbone), preprocessing: backbone.preprocessing },
      takesPublishedPrompts: takesPublishedPrompts(backbone),
    }));
  }

  private async look<T extends { close(): void }, Found>(open: T, at: (open: T) => Promise<Found>): Promise<Found> {
    try {
      return await at(open);
    } finally {
      open.close();
    }
  }

  private hashOf({ path, sha256 }: { readonly path: string; sha256(): Promise<string> }): Promise<string> {
    const hash = this.hashes.get(path) ?? sha256();
    this.hashes.set(path, hash);
    return hash;
  }
}

/** Hash of values and metadata: both determine how they are used. */
function learnedFile({ method, checkpoint }: OpenWeights): ModelFiles['prompts'] {
  if (method.checkpoint === undefined || checkpoint === undefined) return null;
  const { name, learned } = checkpoint;
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of method.checkpoint.values(learned))
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return {
    name,
    sha256: hash.update(canonicalJson(learned.metadata)).digest('hex'),
    auxiliary: learned.metadata[AUXILIARY_KEY] ?? null,
  };
}
