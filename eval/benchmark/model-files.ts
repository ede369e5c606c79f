import { createHash } from 'node:crypto';
import type { CraneOptions } from '../../lib/crane';
import { EMBEDDED_BACKBONE, openBackbone } from '../../lib/methods/crane/backbone';
import {
  AUXILIARY_KEY,
  defaultPrompts,
  openPrompts,
  spatialOfPrompts,
  takesPublishedPrompts,
} from '../../lib/methods/crane/prompts';
import { networkRecord } from '../../lib/methods/crane/trained-network';
import { openSpatial, spatialSourceOf, type SpatialChoice, type SpatialSource } from '../../lib/methods/crane/spatial';
import type { PromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { canonicalJson } from './canonical-json';

/** A model's weight files: names for people to read, and hashes to tell whether they have changed. */
export interface ModelFiles {
  readonly backbone: { readonly name: string; readonly sha256: string };
  readonly prompts: { readonly name: string; readonly sha256: string; readonly auxiliary: string | null };
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
  /** Name of the default prompts. @throws UsageError where there are none */
  readonly defaultPrompts: () => string;
}

interface SpatialFile {
  readonly name: string;
  readonly sha256: string;
  readonly network: object;
}

type Access = Pick<CraneOptions, 'offline' | 'onProgress' | 'signal'>;
type Network = Pick<CraneOptions, 'activation' | 'heads'>;

/** The options given for a backbone's network. */
export function networkOf({ activation, heads }: { readonly [K in keyof Network]?: Network[K] | undefined }): Network {
  return { ...(activation === undefined ? {} : { activation }), ...(heads === undefined ? {} : { heads }) };
}

/** Describes what `Crane.load` would load, without loading it. Each file is read once. */
export class ModelInspector {
  private readonly access: { offline?: boolean; onProgress?: NonNullable<Access['onProgress']>; signal?: AbortSignal };
  private readonly backbones = new Map<string, Promise<BackboneFile>>();
  private readonly prompts = new Map<string, Promise<PromptCheckpoint>>();
  private readonly spatials = new Map<string, Promise<SpatialFile>>();

  constructor({ offline, onProgress, signal }: Access) {
    this.access = {
      ...(offline === undefined ? {} : { offline }),
      ...(onProgress ? { onProgress } : {}),
      ...(signal ? { signal } : {}),
    };
  }

  /** The files alone. @throws as `Crane.load` for names and files */
  async filesOf(options: CraneOptions): Promise<ModelFiles> {
    return (await this.inspect(options)).files;
  }

  /** @throws as `Crane.load` for names and files */
  async inspect({
    backbone: backboneName = EMBEDDED_BACKBONE,
    prompts: promptsName,
    spatial: chosen,
    activation,
    heads,
  }: CraneOptions): Promise<InspectedModel> {
    const backbone = await this.backbone(backboneName, networkOf({ activation, heads }));
    const name = promptsName ?? backbone.defaultPrompts();
    const prompts = await once(this.prompts, name, () => openPrompts(name, this.access));
    const trained = spatialOfPrompts(prompts);
    const spatial = await this.spatial(chosen ?? trained?.weights ?? trained?.family);
    return {
      files: {
        backbone: { name: backbone.name, sha256: backbone.sha256 },
        prompts: { name, sha256: hashOfPrompts(prompts), auxiliary: prompts.metadata[AUXILIARY_KEY] ?? null },
        spatial: spatial && { name: spatial.name, sha256: spatial.sha256 },
      },
      network: { backbone: backbone.network, spatial: spatial?.network ?? null },
    };
  }

  /** Null for no second vision model. @throws as `openSpatial` */
  async spatial(choice: SpatialChoice | undefined): Promise<SpatialFile | null> {
    const source = spatialSourceOf(choice);
    return source === undefined
      ? null
      : await once(this.spatials, canonicalJson(source), () => this.readSpatial(source));
  }

  /** @throws as `openBackbone` */
  backbone(name: string, network: Network = {}): Promise<BackboneFile> {
    return once(this.backbones, canonicalJson({ name, ...network }), () => this.readBackbone(name, network));
  }

  private async readBackbone(name: string, network: Network): Promise<BackboneFile> {
    const backbone = await openBackbone(name, { ...this.access, ...network });
    try {
      return {
        name: backbone.name,
        sha256: await backbone.sha256(),
        blocks: backbone.sizes.vision.layers,
        network: { ...networkRecord(backbone), preprocessing: backbone.preprocessing },
        takesPublishedPrompts: takesPublishedPrompts(backbone),
        defaultPrompts: () => defaultPrompts(backbone),
      };
    } finally {
      backbone.close();
    }
  }

  private async readSpatial(source: SpatialSource): Promise<SpatialFile> {
    const weights = await openSpatial(source, this.access);
    try {
      return { name: weights.name, sha256: await weights.sha256(), network: weights.network };
    } finally {
      weights.close();
    }
  }
}

function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key) ?? make();
  known.set(key, found);
  return found;
}

/** Hash of values and metadata: both determine how the prompts are used. */
function hashOfPrompts({ contextNormal, contextAnomalous, deep, metadata }: PromptCheckpoint): string {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of [contextNormal, contextAnomalous, ...deep])
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.update(canonicalJson(metadata)).digest('hex');
}
