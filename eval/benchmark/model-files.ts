import { createHash } from 'node:crypto';
import type { CraneOptions } from '../../lib/crane';
import { EMBEDDED_BACKBONE, openBackbone } from '../../lib/methods/crane/backbone';
import { AUXILIARY_KEY, defaultPrompts, openPrompts, spatialOfPrompts, takesPublishedPrompts } from '../../lib/methods/crane/prompts';
import { openSpatial, spatialSourceOf, type SpatialChoice, type SpatialSource } from '../../lib/methods/crane/spatial';
import type { PromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { canonicalJson } from './canonical-json';

/** The weights that a model is made of: names for people, and hashes for the question whether they are still the same. */
export interface ModelFiles {
  readonly backbone: { readonly name: string; readonly sha256: string };
  readonly prompts: { readonly name: string; readonly sha256: string; readonly auxiliary: string | null };
  readonly spatial: { readonly name: string; readonly sha256: string } | null;
}

/** What is known of a backbone without its weights in memory. */
export interface BackboneFile {
  readonly name: string;
  readonly sha256: string;
  readonly blocks: number;
  readonly takesPublishedPrompts: boolean;
  /** Name of the prompts used where none are named. @throws UsageError where there are none */
  readonly defaultPrompts: () => string;
}

type Access = Pick<CraneOptions, 'offline' | 'onProgress' | 'signal'>;

/** Says what `Crane.load` would load, without loading it. Each file is read once. */
export class ModelInspector {
  private readonly access: { offline?: boolean; onProgress?: NonNullable<Access['onProgress']>; signal?: AbortSignal };
  private readonly backbones = new Map<string, Promise<BackboneFile>>();
  private readonly prompts = new Map<string, Promise<PromptCheckpoint>>();
  private readonly spatials = new Map<string, Promise<{ readonly name: string; readonly sha256: string }>>();

  constructor({ offline, onProgress, signal }: Access) {
    this.access = { ...(offline === undefined ? {} : { offline }), ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) };
  }

  /** @throws as `Crane.load` for names and files */
  async filesOf({ backbone: backboneName = EMBEDDED_BACKBONE, prompts: promptsName, spatial: chosen }: CraneOptions): Promise<ModelFiles> {
    const backbone = await this.backbone(backboneName);
    const name = promptsName ?? backbone.defaultPrompts();
    const prompts = await once(this.prompts, name, () => openPrompts(name, this.access));
    const trained = spatialOfPrompts(prompts);
    return {
      backbone: { name: backbone.name, sha256: backbone.sha256 },
      prompts: { name, sha256: hashOfPrompts(prompts), auxiliary: prompts.metadata[AUXILIARY_KEY] ?? null },
      spatial: await this.spatial(chosen ?? trained?.weights ?? trained?.family),
    };
  }

  /** Null for no second vision model. @throws as `openSpatial` */
  async spatial(choice: SpatialChoice | undefined): Promise<ModelFiles['spatial']> {
    const source = spatialSourceOf(choice);
    return source === undefined ? null : await once(this.spatials, canonicalJson(source), () => this.readSpatial(source));
  }

  /** @throws as `openBackbone` */
  backbone(name: string): Promise<BackboneFile> {
    return once(this.backbones, name, () => this.readBackbone(name));
  }

  private async readBackbone(name: string): Promise<BackboneFile> {
    const backbone = await openBackbone(name, this.access);
    try {
      return {
        name: backbone.name,
        sha256: await backbone.sha256(),
        blocks: backbone.sizes.vision.layers,
        takesPublishedPrompts: takesPublishedPrompts(backbone),
        defaultPrompts: () => defaultPrompts(backbone),
      };
    } finally {
      backbone.close();
    }
  }

  private async readSpatial(source: SpatialSource): Promise<{ name: string; sha256: string }> {
    const weights = await openSpatial(source, this.access);
    try {
      return { name: weights.name, sha256: await weights.sha256() };
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

/** Of values and of what is said about them: both decide how the prompts are used. */
function hashOfPrompts({ contextNormal, contextAnomalous, deep, metadata }: PromptCheckpoint): string {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of [contextNormal, contextAnomalous, ...deep]) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.update(canonicalJson(metadata)).digest('hex');
}
