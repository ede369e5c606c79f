import { type Activation, ACTIVATIONS } from '../layers/mlp';
import { CLIP_EPSILON, type ClipSizes } from '../encoders/clip-sizes';
import type { InputRule } from '../image/normalisation';
import { WeightsError } from '../errors';
import { ConfigurationFields, parseJsonObject } from '../weights/configuration';
import { CLIP_INPUT, storedInput } from '../weights/input-rule';
import type { Backbone } from './backbone';
import { BACKBONE_HASH_KEY, type Trained } from './checkpoint-origin';

/** Metadata key under which prompts record, as JSON, what the backbone's file alone may not say about its network. */
export const NETWORK_KEY = 'crane.network';

/** What determines a backbone's results besides its tensors. */
export interface NetworkRecord {
  readonly activation: Activation;
  /** Attention heads of the vision and the text tower. */
  readonly heads: readonly [vision: number, text: number];
  /** Epsilon of the layer norms of the two towers. */
  readonly epsilon: readonly [vision: number, text: number];
}

export function networkRecord({
  activation,
  sizes: { vision, text },
}: {
  readonly activation: Activation;
  readonly sizes: ClipSizes;
}): NetworkRecord {
  return {
    activation,
    heads: [vision.heads, text.heads],
    epsilon: [vision.epsilon ?? CLIP_EPSILON, text.epsilon ?? CLIP_EPSILON],
  };
}

/** What the caller requests; it takes precedence over everything stored. */
export interface ChosenNetwork {
  readonly activation?: Activation | undefined;
  readonly referenceImages?: boolean | undefined;
}

export interface NetworkAsTrained {
  readonly backbone: Backbone;
  /** One sentence for each disagreement between prompts and weights. */
  readonly warnings: readonly string[];
}

/**
 * The backbone as it was in a checkpoint's training. Training adapts to the features, and preprocessing and activation
 * change these. So the training's settings are used if the checkpoint records them and nothing else is requested.
 *
 * If it was trained on other weights and the weights given specify a preprocessing, that one is used, provided that the
 * checkpoint records only CLIP's usual one, as with any ordinary CLIP.
 * @throws WeightsError `weights/prompts-preprocessing` if prompts for other weights record an unusual preprocessing and
 *   these weights specify a different one; `weights/prompts-network` for prompts for these weights with other heads or
 *   another epsilon; both messages show both values. `weights/config` for invalid metadata
 */
export async function asTrained(
  backbone: Backbone,
  { learned: { metadata }, called }: Omit<Trained, 'options'>,
  chosen: ChosenNetwork,
): Promise<NetworkAsTrained> {
  const warnings: string[] = [];
  const { reference = false, ...stored } = storedInput(`the ${called}`, metadata) ?? {};
  const trained = storedNetwork(metadata, called);
  const ofWeights: InputRule = backbone.preprocessing;
  const ofPrompts: InputRule = { ...ofWeights, ...stored };
  const isInputShared = shownInput(ofPrompts) === shownInput(ofWeights);
  const areSameWeights =
    (isInputShared && trained === undefined) || metadata[BACKBONE_HASH_KEY] === undefined
      ? undefined
      : metadata[BACKBONE_HASH_KEY] === (await backbone.sha256());
  let input = ofPrompts;
  if (!isInputShared) {
    const isForeign = areSameWeights !== true && backbone.saysInput;
    if (isForeign && shownInput(ofPrompts) !== shownInput(CLIP_INPUT)) {
      throw new WeightsError(
        'weights/prompts-preprocessing',
        `the ${called} were trained on images prepared with ${shownInput(ofPrompts)}, but the weights of ${backbone.name}, which are not those of the training, require ${shownInput(ofWeights)}; ` +
          `use the backbone that the ${called} were trained with, or train ${called} for this one`,
        { found: ofPrompts, expected: ofWeights },
      );
    }
    input = isForeign ? ofWeights : ofPrompts;
    warnings.push(
      `The ${called} were trained on images prepared with ${shownInput(ofPrompts)}, but the weights of ${backbone.name} require ${shownInput(ofWeights)}; ` +
        `${isForeign ? 'the latter is used, and scores may be unreliable' : 'the former is used'}.`,
    );
  }
  const activation = chosen.activation ?? (areSameWeights ? trained?.activation : undefined) ?? backbone.activation;
  if (areSameWeights && trained !== undefined) {
    refuseOtherNetwork(backbone, trained, called);
    if (trained.activation !== undefined && trained.activation !== activation) {
      warnings.push(
        `The ${called} were trained with the activation ${trained.activation}, but are used with ${activation}; scores may be unreliable.`,
      );
    }
  }
  // What was assumed is now known.
  const isKnown = chosen.activation !== undefined || (areSameWeights && trained?.activation !== undefined);
  return {
    backbone: { ...backbone, preprocessing: { ...input, reference: chosen.referenceImages ?? reference }, activation },
    warnings: [...(isKnown ? [] : backbone.guesses), ...warnings],
  };
}

function refuseOtherNetwork(backbone: Backbone, trained: Partial<NetworkRecord>, called: string): void {
  const used = networkRecord(backbone);
  for (const name of ['heads', 'epsilon'] as const) {
    const before = trained[name];
    if (before === undefined || JSON.stringify(before) === JSON.stringify(used[name])) continue;
    throw new WeightsError(
      'weights/prompts-network',
      `the ${called} were trained with ${name} ${before.join(' and ')} (vision and text tower), but ${backbone.name} has ${used[name].join(' and ')}; ` +
        `${name === 'heads' ? 'set `heads` to those' : 'use the configuration of the training'}, or train new ${called}`,
      { option: name, found: used[name], expected: before },
    );
  }
}

const shownInput = ({ resize, mean, std }: InputRule): string =>
  `mean ${mean.join(', ')} and deviation ${std.join(', ')}, resized ${resize === 'bicubic' ? 'bicubically' : 'bilinearly'}`;

function storedNetwork(metadata: Readonly<Record<string, string>>, called: string): Partial<NetworkRecord> | undefined {
  const text = metadata[NETWORK_KEY];
  if (text === undefined) return undefined;
  const fields = new ConfigurationFields(
    `the ${called}`,
    NETWORK_KEY,
    parseJsonObject(text, `the ${called}' metadata ${NETWORK_KEY}`),
  );
  const pair = (name: string): readonly [number, number] | undefined => {
    const value = fields.value(name);
    if (value === undefined) return undefined;
    const numbers = Array.isArray(value)
      ? value.filter((one): one is number => typeof one === 'number' && one > 0)
      : [];
    if (numbers.length !== 2) throw fields.refusal(name, 'two numbers above 0');
    return numbers as unknown as readonly [number, number];
  };
  const [heads, epsilon] = [pair('heads'), pair('epsilon')];
  fields.only('activation', ...ACTIVATIONS);
  const activation = ACTIVATIONS.find((one) => one === fields.value('activation'));
  fields.finish();
  return {
    ...(activation === undefined ? {} : { activation }),
    ...(heads === undefined ? {} : { heads }),
    ...(epsilon === undefined ? {} : { epsilon }),
  };
}
