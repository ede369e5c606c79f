import type { BackendChoice } from '../lib/backend';
import type { HeadsChoice } from '../lib/encoders/clip-sizes';
import type { Activation } from '../lib/layers/mlp';
import type { MethodName, MethodOptionsInput } from '../lib/methods/registry';
import type { SpatialChoice } from '../lib/methods/spatial';
import type { OnProgress } from '../lib/progress';
import type { EpochRecord } from './epoch-record';
import type { FeaturePrecision } from './encoded-image';
import type { TrainingOptionsInput } from './options';
import type { StepReport } from './training-loop';

/** What {@link train} trains on, with which model, and where the run is kept. Only `auxiliary` is needed, or `resume`. */
export interface TrainOptions {
  /**
   * The auxiliary set, or several: registered names or folders. A synthetic set that is missing is written. Needed unless
   * `resume` names a run that says it.
   */
  readonly auxiliary?: string | readonly string[];
  /** Only these categories. Default: all. */
  readonly categories?: readonly string[];
  /** Name of the layout that the sets are read by, such as `images-masks`. Default: for each the one that explains most files. */
  readonly layout?: string;
  /** Images without a mask are normal, where only masks say which are anomalous. Default false: the set is not complete then. */
  readonly normalWithoutMask?: boolean;
  /** See `CraneOptions`. */
  readonly method?: MethodName;
  /** `nano` (embedded, the default), a registered name, or a file or folder. */
  readonly backbone?: string;
  /** Prompts to go on from; by default fresh ones are drawn from the seed. */
  readonly prompts?: string;
  /** The same, of any method that learns. */
  readonly checkpoint?: string;
  /** The second vision model of Crane+; default: that of `prompts`, where they say it, else none. */
  readonly spatial?: SpatialChoice;
  /** See `CraneOptions`. Kept with the prompts, which are then used with it as well. */
  readonly activation?: Activation;
  /** See `CraneOptions`. */
  readonly heads?: HeadsChoice;
  /** How the model scores; see `ModelOptions`. */
  readonly model?: Omit<MethodOptionsInput, 'spatial'>;
  /** Learning rate, epochs and losses; see `TrainingOptions`. */
  readonly training?: TrainingOptionsInput;
  /** Folder for what is written. Default: `checkpoints/runs/<set>-<seed>-<hash>` in the working folder. */
  readonly out?: string;
  /**
   * Folder of a run to resume, to the same prompts as if it had never stopped. All options are the run's own; those
   * that are given must agree. Where no run was begun there, it begins.
   */
  readonly resume?: string;
  /** Start anew in a folder that holds a run, finished or not. Default false: it is not thrown away. */
  readonly overwrite?: boolean;
  /** Steps between saved states; one is saved at the end of each epoch as well. Default 20. */
  readonly saveEvery?: number;
  /** Epochs between kept prompts, `epoch_N.safetensors`; those of the last are always kept. Default 1. */
  readonly saveFrequency?: number;
  /** Default `auto`. */
  readonly backend?: BackendChoice;
  /** Never touch the network. Default: whether the environment has `CRANE_OFFLINE`. */
  readonly offline?: boolean;
  /** Download weights from hosts of private networks too. Default: see `CraneOptions`. */
  readonly allowPrivateUrls?: boolean;
  /** Read images as the reference does; see `CraneOptions`. */
  readonly referenceImages?: boolean;
  /**
   * Keep features on disk for the next run, in `folder` (default: in the cache folder) up to `size` bytes (default 20 GB);
   * false keeps them in memory only. Default: kept.
   */
  readonly cache?: false | { readonly folder?: string; readonly size?: number };
  /** How features are kept. Default float16; float32 in memory only. */
  readonly precision?: FeaturePrecision;
  /** Stored with the prompts as the command that repeats the run. Default: `crane train` with the options. */
  readonly commandLine?: string;
  /** Told of downloads, encoding and steps. */
  readonly onProgress?: OnProgress;
  /** Called when the run's folder is known, before its images are encoded; `step` is how many are done already. */
  readonly onStart?: (run: { readonly folder: string; readonly step: number }) => void;
  /** Called after each step; the next one waits for what it returns. */
  readonly onStep?: (step: StepReport) => void | Promise<void>;
  /** Called after each epoch. */
  readonly onEpoch?: (epoch: EpochRecord) => void;
  /** Called with what a person should know although it stops nothing, a sentence each. */
  readonly onNotice?: (message: string) => void;
  /** Stops the run: the step under way is done and saved, then `train` throws the signal's reason. */
  readonly signal?: AbortSignal;
}
