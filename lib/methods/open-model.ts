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
import { checkMethodOptions, methodNamed, type MethodName, type MethodOptions } from './registry';
import { definedOptions } from '../defined-options';
import type { SpatialChoice, SpatialWeights } from './spatial';
import { asTrained } from './trained-network';

/** The parts of a model, as a caller names them. */
export interface ModelChoice {
  /** How anomalies are found: `crane` by default, see `METHOD_NAMES`. */
  readonly method?: MethodName;
  /** `nano` (embedded, the default), a registered name such as `ViT-L/14@336px`, or a file or folder. */
  readonly backbone?: string;
  /**
   * What the method learns: a registered name such as `crane-visa`, or a file; by default the one that belongs to the
   * backbone.
   */
  readonly checkpoint?: string;
  /** The same for methods that learn prompts. */
  readonly prompts?: string;
  /**
   * The second vision model, which guides D-Attn (Crane+): `none`; `dinov2`, `dino` or `sam` for the paper's model of
   * that kind; weights by registered name, file or folder; or model and weights. Default: as in the prompts' training.
   */
  readonly spatial?: SpatialChoice;
  /** The backbone's activation, overriding its file. Default: as in the prompts' training. */
  readonly activation?: Activation;
  /** Attention heads of the backbone's towers, if its file does not give them or gives them wrongly. */
  readonly heads?: HeadsChoice;
  /**
   * Read images as the reference does: EXIF orientation ignored, 16-bit samples clipped (docs/deviations.md). Default: as
   * in training, if the prompts record it, else false.
   */
  readonly referenceImages?: boolean;
  /**
   * What images show, such as `metal nut`, unless a call says otherwise; for methods whose sentences name it. Default:
   * `object`.
   */
  readonly className?: string;
  /**
   * Every class name that calls will use. Of the text encoder's vocabulary, only their words are then kept. By default all
   * of it is kept.
   */
  readonly classNames?: readonly string[];
}

/** `ModelChoice`, whose options may be explicitly undefined, and the method's own options. */
export interface OpenModelRequest extends WeightAccess {
  /** Runs the stages of the model, to time them. */
  readonly runStage?: RunStage;
  readonly choice: { readonly [K in keyof ModelChoice]?: ModelChoice[K] | undefined };
  readonly options: object;
  /** If no checkpoint is named, start training from fresh values. Default false. */
  readonly fresh?: boolean;
}

/** Everything that a model is built from, open. */
export interface OpenWeights {
  readonly method: Method;
  /** The backbone as it was in the checkpoint's training. */
  readonly backbone: Backbone;
  readonly spatial: SpatialWeights | undefined;
  /** What was learned, and the name it was requested by; undefined for fresh values and for methods that learn nothing. */
  readonly checkpoint: (Trained & { readonly name: string }) | undefined;
  readonly options: CommonOptions;
  /** Warnings for the user, one sentence each. */
  readonly warnings: readonly string[];
  close(): void;
}

/**
 * Checks whatever can be checked before anything is opened.
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
    throw new UsageError('usage/checkpoint', '`prompts` and `checkpoint` mean the same; give only one of them', {
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
 * Opens the parts of a model. Options left out come from the checkpoint if it records how it was trained, else from the
 * method. Close the result once the model is built.
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

/** Describes a model for logs and results, with everything needed to load the same one again. */
export type DescribedModel = MethodOptions & {
  readonly backbone: string;
  /** Null for methods that learn no prompts. */
  readonly prompts: string | null;
  /** The checkpoint of a method that learns something other than prompts. */
  readonly checkpoint?: string;
  /** Weights of the second vision model; null without one. */
  readonly spatial: string | null;
  readonly sizes: ClipSizes;
  readonly activation: Activation;
  readonly preprocessing: Backbone['preprocessing'];
  /** The set that the learned part was trained on; null if unknown. */
  readonly auxiliary: string | null;
  /** What to know before trusting the scores, such as that the prompts were trained for other weights. */
  readonly warnings: readonly string[];
};

export interface OpenedModel {
  readonly model: AnomalyModel;
  readonly description: DescribedModel;
}

/**
 * Opens and builds a model that scores.
 * @throws as `openWeights`, and if the parts do not fit together
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
    // The registry's types relate a method's name to its options.
    return { model, description: description as unknown as DescribedModel };
  } catch (error) {
    model?.dispose();
    throw error;
  } finally {
    weights.close();
  }
}
