import type { ClipSizes, HeadsChoice } from '../encoders/clip-sizes';
import { UsageError } from '../errors';
import type { Activation } from '../layers/mlp';
import type { RunStage } from '../stage';
import { weightAccess, type WeightAccess } from '../weights/weight-cache';
import { EMBEDDED_BACKBONE, openBackbone, type Backbone } from './backbone';
import { checkpointOption, defaultCheckpoint, openCheckpoint, refuseWithoutCheckpoint } from './checkpoint';
import {
  AUXILIARY_KEY,
  openSpatialFor,
  storedOptions,
  warningsAboutBackbone,
  warningsAboutSpatial,
  type Trained,
} from './checkpoint-origin';
import type { AnomalyModel, CommonOptions, Method, OptionsInput } from './method';
import { checkMethodOptions, definedOptions, methodNamed, type MethodName, type MethodOptions } from './registry';
import type { SpatialChoice, SpatialWeights } from './spatial';
import { asTrained } from './trained-network';

/** What a model is made of, in the words of whoever asks for it. */
export interface ModelChoice {
  /** How anomalies are found: `crane` by default, see `METHOD_NAMES`. */
  readonly method?: MethodName;
  /** `nano` (embedded, the default), a registered name such as `ViT-L/14@336px`, or a file or folder. */
  readonly backbone?: string;
  /**
   * What the method learns: a registered name such as `crane-visa`, or a file; by default those that belong to the backbone.
   */
  readonly checkpoint?: string;
  /** The same for methods that learn prompts. */
  readonly prompts?: string;
  /**
   * The second vision model, which guides D-Attn (Crane+): `none`; `dinov2`, `dino` or `sam` for the paper's of that
   * kind; weights by registered name, file or folder; or model and weights. By default as the prompts were trained.
   */
  readonly spatial?: SpatialChoice;
  /** What the backbone computes with, whatever its file says or leaves open; by default as the prompts were trained. */
  readonly activation?: Activation;
  /** Attention heads of the backbone's towers, where its file does not say, or says it wrongly. */
  readonly heads?: HeadsChoice;
  /**
   * Read pictures as the reference does: EXIF orientation ignored, 16-bit samples clipped (docs/deviations.md). By default
   * as in training, where the prompts say it, else false.
   */
  readonly referenceImages?: boolean;
  /** What images show where a call does not say it, for methods whose sentences name it: `metal nut`. Default: `object`. */
  readonly className?: string;
  /**
   * All names that calls will say, and no others: only their words are then kept of the text encoder's vocabulary. By default
   * all of it is kept.
   */
  readonly classNames?: readonly string[];
}

/** `ModelChoice` with options that may say that they are undefined, and the method's own options. */
export interface OpenModelRequest extends WeightAccess {
  /** Runs the stages of the model, to time them. */
  readonly runStage?: RunStage;
  readonly choice: { readonly [K in keyof ModelChoice]?: ModelChoice[K] | undefined };
  readonly options: object;
  /** Without a checkpoint that is named, start from fresh values, to be trained. Default false. */
  readonly fresh?: boolean;
}

/** All that a model is built from, open. */
export interface OpenWeights {
  readonly method: Method;
  /** The backbone as the checkpoint knows it. */
  readonly backbone: Backbone;
  readonly spatial: SpatialWeights | undefined;
  /** What was learned, and the name that it was asked for by; undefined for methods that learn nothing and fresh values. */
  readonly checkpoint: (Trained & { readonly name: string }) | undefined;
  readonly options: CommonOptions;
  /** What a person should know, a sentence each. */
  readonly warnings: readonly string[];
  close(): void;
}

/**
 * Looks at what can be wrong before anything is opened.
 * @throws UsageError
 */
export function checkModelRequest({
  choice,
  options,
  fresh = false,
}: Omit<OpenModelRequest, keyof WeightAccess>): void {
  const method = methodNamed(choice.method);
  const format = method.checkpoint;
  checkMethodOptions(method, options);
  if (choice.prompts !== undefined && choice.checkpoint !== undefined) {
    throw new UsageError('usage/checkpoint', '`prompts` and `checkpoint` name the same thing; leave one of them out', {
      prompts: choice.prompts,
      checkpoint: choice.checkpoint,
    });
  }
  const takesPrompts = format !== undefined && checkpointOption(format) === 'prompts';
  if (choice.prompts !== undefined && !takesPrompts) {
    throw new UsageError(
      'usage/checkpoint',
      `the method ${method.name} learns no prompts; leave \`prompts\` out${format ? `, and name its ${format.called} with \`checkpoint\`` : ''}`,
      { method: method.name, prompts: choice.prompts },
    );
  }
  if (choice.checkpoint !== undefined && format === undefined) {
    throw new UsageError('usage/checkpoint', `the method ${method.name} learns nothing; leave \`checkpoint\` out`, {
      method: method.name,
      checkpoint: choice.checkpoint,
    });
  }
  if (choice.spatial !== undefined && choice.spatial !== 'none' && !guides(method)) {
    throw new UsageError(
      'usage/spatial',
      `the method ${method.name} takes no second vision model; leave \`spatial\` out`,
      { method: method.name, spatial: choice.spatial },
    );
  }
  if (format && !fresh && checkpointNamed(choice) === undefined)
    refuseWithoutCheckpoint(choice.backbone ?? EMBEDDED_BACKBONE, format);
}

const guides = ({ options }: Method): boolean => Object.hasOwn(options.shape, 'spatial');
const checkpointNamed = ({ prompts, checkpoint }: OpenModelRequest['choice']): string | undefined =>
  checkpoint ?? prompts;

/**
 * Opens what a model is made of. Options that are not given come from the checkpoint, where it says how it was trained,
 * else from the method. Close the result when the model is built.
 * @throws UsageError for options that do not fit; WeightsError for files
 */
export async function openWeights(request: OpenModelRequest): Promise<OpenWeights> {
  checkModelRequest(request);
  const { choice, fresh = false } = request;
  const { activation, heads, referenceImages, className, classNames } = choice;
  const method = methodNamed(choice.method);
  const given = definedOptions(request.options) as OptionsInput<CommonOptions>;
  const access = weightAccess(request);
  const words = method.words(given, classNames && [...classNames, ...(className === undefined ? [] : [className])]);
  const opened = await openBackbone(choice.backbone ?? EMBEDDED_BACKBONE, {
    ...access,
    ...(words === undefined ? {} : { words }),
    ...(activation === undefined ? {} : { activation }),
    ...(heads === undefined ? {} : { heads }),
  });
  let spatial: SpatialWeights | undefined;
  const close = (): void => {
    spatial?.close();
    opened.close();
  };
  try {
    const checkpoint = await checkpointFor(method, opened, choice, { access, fresh });
    const { backbone, warnings } = checkpoint
      ? await asTrained(opened, checkpoint, { activation, referenceImages })
      : {
          backbone: {
            ...opened,
            preprocessing: { ...opened.preprocessing, reference: referenceImages ?? opened.preprocessing.reference },
          },
          warnings: opened.guesses,
        };
    spatial = await openSpatialFor(checkpoint, choice.spatial, access);
    const family = spatial?.family ?? 'none';
    const inherited = checkpoint && method.inherited?.(storedOptions(checkpoint), backbone.sizes, family);
    const options = method.complete(
      { ...inherited, ...given, ...(guides(method) ? { spatial: family } : {}) },
      backbone.sizes,
    );
    return { method, backbone, spatial, checkpoint, options, warnings, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function checkpointFor(
  method: Method,
  backbone: Backbone,
  choice: OpenModelRequest['choice'],
  { access, fresh }: { readonly access: WeightAccess; readonly fresh: boolean },
): Promise<OpenWeights['checkpoint']> {
  const format = method.checkpoint;
  const asked = checkpointNamed(choice);
  if (format === undefined || (fresh && asked === undefined)) return undefined;
  const name = asked ?? defaultCheckpoint(backbone, format);
  const learned = await openCheckpoint(name, format, access);
  return { name, learned, called: format.called, options: method.options };
}

/** What a model is, for logs and results: everything needed to load the same again. */
export type DescribedModel = MethodOptions & {
  readonly backbone: string;
  /** Null for methods that learn no prompts. */
  readonly prompts: string | null;
  /** Of methods that learn something else. */
  readonly checkpoint?: string;
  /** Weights of the second vision model; null without one. */
  readonly spatial: string | null;
  readonly sizes: ClipSizes;
  readonly activation: Activation;
  readonly preprocessing: Backbone['preprocessing'];
  /** The set that the learned part was trained on, where it says. */
  readonly auxiliary: string | null;
  /** What a person should know before trusting the scores, such as prompts that were made for other weights. */
  readonly warnings: readonly string[];
};

export interface OpenedModel {
  readonly model: AnomalyModel;
  readonly description: DescribedModel;
}

/**
 * Opens and builds a model that scores.
 * @throws as `openWeights`, and where the parts do not fit together
 */
export async function openModel(request: OpenModelRequest): Promise<OpenedModel> {
  const weights = await openWeights(request);
  const { method, backbone, spatial, checkpoint, options, warnings } = weights;
  let model: AnomalyModel | undefined;
  try {
    model = method.build({ backbone, options, learned: checkpoint?.learned, spatial, runStage: request.runStage });
    const isPrompts = method.checkpoint !== undefined && checkpointOption(method.checkpoint) === 'prompts';
    const description = {
      method: method.name,
      backbone: backbone.name,
      prompts: (isPrompts ? checkpoint?.name : undefined) ?? null,
      ...(checkpoint !== undefined && !isPrompts ? { checkpoint: checkpoint.name } : {}),
      spatial: spatial?.name ?? null,
      sizes: backbone.sizes,
      activation: backbone.activation,
      options: model.options,
      preprocessing: model.preprocessing,
      auxiliary: checkpoint?.learned.metadata[AUXILIARY_KEY] ?? null,
      warnings: [
        ...warnings,
        ...(checkpoint ? await warningsAboutBackbone(checkpoint, backbone) : []),
        ...(checkpoint ? await warningsAboutSpatial(checkpoint, spatial) : []),
      ],
    };
    // The registry's own types say which options a method's name stands for.
    return { model, description: description as unknown as DescribedModel };
  } catch (error) {
    model?.dispose();
    throw error;
  } finally {
    weights.close();
  }
}
