import type { ClipSizes, ModelOptionsInput } from '../../config';
import { modelOptionsSchema } from '../../config';
import { UsageError } from '../../errors';
import type { OnProgress } from '../../progress';
import { readPromptCheckpoint, type PromptCheckpoint } from '../../weights/prompt-checkpoint';
import { publishedPromptsBackbone } from '../../weights/registry';
import { resolveWeights } from '../../weights/weight-cache';
import { EMBEDDED_BACKBONE, embeddedFile, type Backbone } from './backbone';

/** The prompts that come with the package, for the embedded backbone. */
export const EMBEDDED_PROMPTS = 'nano-prompts';
/** Used with the paper's backbone where no others are named. */
const PUBLISHED_PROMPTS = 'crane-visa';

/** Under this key the metadata of prompts keeps the model options that they were trained with, as JSON. */
export const OPTIONS_KEY = 'crane.options';

export interface OpenPromptsOptions {
  readonly offline?: boolean;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/**
 * Opens learned prompts: `nano-prompts`, a registered name such as `crane-visa`, or a file.
 * @throws UsageError for an unknown name; WeightsError for a file that holds no prompts
 */
export async function openPrompts(nameOrPath: string, options: OpenPromptsOptions = {}): Promise<PromptCheckpoint> {
  const file =
    nameOrPath === EMBEDDED_PROMPTS ? embeddedFile('nano-prompts.safetensors') : await resolveWeights(nameOrPath, 'prompts', options);
  return readPromptCheckpoint(file);
}

/**
 * The prompts used with a backbone where none are named.
 * @throws UsageError where there are none
 */
export function defaultPrompts(backbone: Backbone): string {
  if (backbone.name === EMBEDDED_BACKBONE) return EMBEDDED_PROMPTS;
  // The published prompts fit every network with the paper's text tower, whatever its file is called.
  if (backbone.sizes.text.width === 768 && backbone.sizes.vision.width === 1024) return PUBLISHED_PROMPTS;
  throw new UsageError(
    'prompts/none',
    `no prompts are known for the backbone ${backbone.name}; name some with --prompts, or train them with "crane train --backbone ${backbone.name}". ` +
      `Published prompts are for ${publishedPromptsBackbone}.`,
    { backbone: backbone.name },
  );
}

/** Options under which prompts were trained and which a model that uses them shares, where the backbone allows it. */
export function optionsOfPrompts(prompts: PromptCheckpoint, sizes: ClipSizes): ModelOptionsInput {
  const text = prompts.metadata[OPTIONS_KEY];
  if (text === undefined) return {};
  const parsed = modelOptionsSchema.partial().safeParse(parseJson(text));
  if (!parsed.success) return {};
  const { context, temperature, ...trained } = parsed.data;
  const fits =
    (trained.imageSize ?? 0) % sizes.vision.patchSize === 0 &&
    (trained.layers ?? []).every((layer) => layer <= sizes.vision.layers) &&
    (trained.eattnBlocks ?? 0) <= sizes.vision.layers;
  return fits ? (trained as ModelOptionsInput) : {};
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
