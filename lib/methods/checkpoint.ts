import { UsageError } from '../errors';
import { sha256OfFile } from '../weights/download';
import { findRegisteredWeights, publishedPromptsBackbone, registeredWeights } from '../weights/registry';
import { resolveWeights, type WeightAccess } from '../weights/weight-cache';
import { EMBEDDED_BACKBONE, embeddedFile, takesPublishedPrompts, type Backbone } from './backbone';
import { AUXILIARY_KEY, OPTIONS_KEY, type LearnedPart } from './checkpoint-origin';

/** Learned numbers by name, such as `ctx_pos`. */
export type LearnedValues = Readonly<
  Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>
>;

/** The file format of what a method learns, and where such files come from. */
export interface CheckpointFormat<Learned extends LearnedPart = LearnedPart> {
  /** A plural noun for what is learned, used in messages: `prompts`. */
  readonly called: string;
  /** The file in the package that goes with the embedded backbone, and its name. */
  readonly embedded?: { readonly name: string; readonly file: string };
  /** Registered name of the ones used by default with the paper's backbone. */
  readonly published?: string;
  /** @throws WeightsError for a file of another kind */
  read(file: string): Promise<Learned>;
  /** All learned numbers, in a fixed order. */
  values(learned: Learned): readonly Float32Array[];
  /** Writes the current values during training, atomically. @throws WeightsError if that fails */
  write(file: string, values: LearnedValues, metadata: Readonly<Record<string, string>>): void;
}

/**
 * Opens a checkpoint: the embedded one by its name, a registered name such as `crane-visa`, or a file.
 * @throws UsageError for an unknown name; WeightsError for a file of another kind
 */
export async function openCheckpoint<Learned extends LearnedPart>(
  nameOrPath: string,
  format: CheckpointFormat<Learned>,
  access: WeightAccess = {},
): Promise<Learned> {
  if (nameOrPath === format.embedded?.name) return format.read(embeddedFile(format.embedded.file));
  const file = await resolveWeights(nameOrPath, 'prompts', access);
  const checkpoint = await format.read(file);
  if (AUXILIARY_KEY in checkpoint.metadata) return checkpoint;
  // Published files do not say how they were trained; the registry does, by name or by content.
  const hash = await sha256OfFile(file);
  const entry = findRegisteredWeights(nameOrPath) ?? registeredWeights.find(({ sha256 }) => sha256 === hash);
  if (!entry?.trainedOn) return checkpoint;
  const known = {
    [AUXILIARY_KEY]: entry.trainedOn,
    ...(entry.trainedWith ? { [OPTIONS_KEY]: JSON.stringify(entry.trainedWith) } : {}),
  };
  return { ...checkpoint, metadata: { ...checkpoint.metadata, ...known } };
}

/**
 * Refuses a registered backbone without a known checkpoint, before it is downloaded.
 * @throws UsageError
 */
export function refuseWithoutCheckpoint(backboneName: string, format: CheckpointFormat): void {
  const entry = findRegisteredWeights(backboneName);
  const isPapers = entry?.name === publishedPromptsBackbone && format.published !== undefined;
  if (entry?.kind === 'backbone' && !isPapers) throw withoutCheckpoint(backboneName, format);
}

/**
 * The default checkpoint for a backbone.
 * @throws UsageError if there is none
 */
export function defaultCheckpoint(backbone: Backbone, format: CheckpointFormat): string {
  if (backbone.name === EMBEDDED_BACKBONE && format.embedded) return format.embedded.name;
  if (takesPublishedPrompts(backbone) && format.published !== undefined) return format.published;
  throw withoutCheckpoint(backbone.name, format);
}

/** The option that names a checkpoint: `prompts` where prompts are what is learned. */
export function checkpointOption({ called }: Pick<CheckpointFormat, 'called'>): 'prompts' | 'checkpoint' {
  return called === 'prompts' ? 'prompts' : 'checkpoint';
}

function withoutCheckpoint(backbone: string, format: CheckpointFormat): UsageError {
  const { called, published } = format;
  return new UsageError(
    'usage/no-prompts',
    `no ${called} are known for the backbone ${backbone}; name some with \`${checkpointOption(format)}\`, or train some for it.` +
      (published === undefined ? '' : ` Published ${called} are for ${publishedPromptsBackbone}.`),
    { backbone },
  );
}
