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

/** What {@link train} trains on, with which model, and where the run is stored. Only `auxiliary` or `resume` is required. */
export interface TrainOptions {
  /**
   * The auxiliary set, or several: registered names or folders. A missing synthetic set is generated. Required unless
   * `resume` names an existing run.
   */
  readonly auxiliary?: string | readonly string[];
  /** Only these categories. Default: all. */
  readonly categories?: readonly string[];
  /**
   * Name of the layout used to read the sets, such as `images-masks`. Default: for each set, the layout that explains
   * most files.
   */
  readonly layout?: string;
  /**
   * Treat images without a mask as normal in sets where only masks mark anomalous images. Default false: such a set
   * counts as incomplete.
   */
  readonly normalWithoutMask?: boolean;
  /** See `CraneOptions`. */
  readonly method?: MethodName;
  /** `nano` (embedded, the default), a registered name, or a file or folder. */
  readonly backbone?: string;
  /** Prompts to start from; by default fresh ones, initialised from the seed. */
  readonly prompts?: string;
  /** The same for any method that learns. */
  readonly checkpoint?: string;
  /** The second vision model of Crane+. Default: the one recorded in `prompts`, else none. */
  readonly spatial?: SpatialChoice;
  /** See `CraneOptions`. Recorded in the prompts, and used with them by default. */
  readonly activation?: Activation;
  /** See `CraneOptions`. */
  readonly heads?: HeadsChoice;
  /** How the model scores; see `ModelOptions`. */
  readonly model?: Omit<MethodOptionsInput, 'spatial'>;
  /** Learning rate, epochs and losses; see `TrainingOptions`. */
  readonly training?: TrainingOptionsInput;
  /** Folder for the run's files. Default: `checkpoints/runs/<set>-<seed>-<hash>` in the working folder. */
  readonly out?: string;
  /**
   * Folder of a run to resume, with the same resulting prompts as if it had never stopped. All options are those of the
   * run; any that are given must agree. If the folder contains no run, a new one starts there.
   */
  readonly resume?: string;
  /**
   * Discard a run in the folder, finished or not, and start anew. Default false: the run is kept, and an error is
   * thrown.
   */
  readonly overwrite?: boolean;
  /** Steps between saved states; one is also saved at the end of each epoch. Default 20. */
  readonly saveEvery?: number;
  /** Epochs between kept prompts, `epoch_N.safetensors`; those of the last epoch are always kept. Default 1. */
  readonly saveFrequency?: number;
  /** Default `auto`. */
  readonly backend?: BackendChoice;
  /** Never touch the network. Default: true if the environment variable `CRANE_OFFLINE` is set. */
  readonly offline?: boolean;
  /** Also download weights from hosts in private networks. Default: see `CraneOptions`. */
  readonly allowPrivateUrls?: boolean;
  /** Read images as the reference does; see `CraneOptions`. */
  readonly referenceImages?: boolean;
  /**
   * Cache features on disk for the next run, in `folder` (default: in the cache folder), up to `size` bytes (default 20 GB);
   * false keeps them in memory only. Default: cached.
   */
  readonly cache?: false | { readonly folder?: string; readonly size?: number };
  /** Precision of stored features. Default float16; float32 works in memory only. */
  readonly precision?: FeaturePrecision;
  /** Recorded in the prompts as the command that repeats the run. Default: `crane train` with the options. */
  readonly commandLine?: string;
  /** Called with the progress of downloads, encoding and steps. */
  readonly onProgress?: OnProgress;
  /** Called when the run's folder is known, before its images are encoded; `step` is the number of steps already done. */
  readonly onStart?: (run: { readonly folder: string; readonly step: number }) => void;
  /** Called after each step; the next step waits until it returns or resolves. */
  readonly onStep?: (step: StepReport) => void | Promise<void>;
  /** Called after each epoch. */
  readonly onEpoch?: (epoch: EpochRecord) => void;
  /** Called with notices that do not stop the run, one sentence each. */
  readonly onNotice?: (message: string) => void;
  /** Stops the run: the current step is completed and saved, then `train` throws the signal's reason. */
  readonly signal?: AbortSignal;
}
