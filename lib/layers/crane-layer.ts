import * as tf from '@tensorflow/tfjs';
import { runUnobserved, type RunStage } from '../stage';
import { refuseOtherShapes, type Axes } from './input-shapes';

/**
 * Gives a layer its parameters: read from a file, or random for a network that will be trained. `path` is the
 * parameter's canonical name (OpenAI's state dict, such as `visual.transformer.resblocks.0.ln_1.weight`); the tensor
 * returned has the shape asked for and is owned by the layer.
 */
export interface ParameterSource {
  (path: string, shape: number[]): tf.Tensor;
  /**
   * The transpose of the matrix `path` of shape `shape`, where the source can provide it more cheaply than its tensor.
   */
  readonly transposed?: (path: string, shape: number[]) => tf.Tensor;
}

/**
 * Options of all tfjs layers: `name`, `trainable`, `inputShape`, `batchInputShape`, `batchSize`, `dtype`, `weights`,
 * etc.
 */
export type LayerOptions = Readonly<NonNullable<ConstructorParameters<typeof tf.layers.Layer>[0]>>;

/** Options of all layers in this library. As in tfjs, `weights` are set at the first `apply`. */
export interface CraneLayerConfig extends LayerOptions {
  /**
   * Whether the layer's parameters are trained; false by default, unlike in tfjs, since networks here are pretrained.
   */
  readonly trainable?: boolean;
  /** Canonical path of this layer in the network, prefixed to its parameters' names. */
  readonly path?: string;
  /** Without one, parameters start at zero until `setWeights` is called (as after deserialisation). */
  readonly parameters?: ParameterSource;
  /** Called with every new parameter, so that all can be released if a later one is missing. */
  readonly onParameter?: (parameter: tf.LayerVariable) => void;
  /**
   * Runs the stages of this layer and of its inner layers, to time them.
   * @internal
   */
  readonly runStage?: RunStage;
}

class FromSource extends tf.serialization.Serializable {
  static readonly className = 'FromSource';
  constructor(
    private readonly source: ParameterSource,
    private readonly path: string,
  ) {
    super();
  }
  apply(shape: tf.Shape): tf.Tensor {
    return this.source(this.path, shape.map(Number));
  }
  getConfig(): tf.serialization.ConfigDict {
    return {};
  }
}

type Applied = Parameters<tf.layers.Layer['apply']>;

/**
 * The base of all layers in this library. Adds to `tf.layers.Layer`: parameters by canonical name, not first set to
 * zero; nested layers; inputs that are checked before computation; and a `dispose` that works before the
 * first call. In a `tf.model` or `tf.sequential` it behaves like any tfjs layer: it is saved, loaded, frozen and
 * disposed with it.
 */
export abstract class CraneLayer extends tf.layers.Layer {
  protected readonly path: string;
  /** @internal */
  protected readonly runStage: RunStage;
  private readonly source: ParameterSource | undefined;
  private readonly onParameter: CraneLayerConfig['onParameter'];
  private readonly children: CraneLayer[] = [];
  private inModel = false;
  private released = false;

  constructor(config: CraneLayerConfig) {
    super({ ...config, trainable: config.trainable ?? false });
    this.path = config.path ?? '';
    this.source = config.parameters;
    this.onParameter = config.onParameter;
    this.runStage = config.runStage ?? runUnobserved;
    // Parameters are created in constructors, where shapes are known; only given weights still need to be set.
    this.built = config.weights === undefined;
  }

  /** The expected shapes, one entry per input, when given inputs of these shapes. */
  protected abstract takes(found: readonly tf.Shape[]): readonly Axes[];

  /** Output shapes for valid inputs, one per output; by default that of the first input. */
  protected gives(inputs: readonly tf.Shape[]): readonly tf.Shape[] {
    return inputs.slice(0, 1);
  }

  /**
   * Shapes of the outputs; a list where there are several. Unknown sizes are null.
   * @throws UsageError `usage/layer-input` for inputs that the layer does not take
   */
  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    const inputs = (Array.isArray(inputShape[0]) ? inputShape : [inputShape]) as tf.Shape[];
    this.refuseOthers(inputs);
    const outputs = this.gives(inputs);
    return outputs.length === 1 ? (outputs[0] as tf.Shape) : [...outputs];
  }

  /** Called by `apply` before anything is computed. */
  protected override assertInputCompatibility(inputs: Applied[0]): void {
    super.assertInputCompatibility(inputs);
    this.refuseOthers((Array.isArray(inputs) ? inputs : [inputs]).map(({ shape }) => shape));
  }

  private refuseOthers(found: readonly tf.Shape[]): void {
    refuseOtherShapes(`${this.getClassName()} "${this.name}"`, this.takes(found), found);
  }

  /**
   * @throws UsageError `usage/layer-input` for inputs that the layer does not accept, symbolic ones too
   */
  override apply(...[inputs, ...rest]: Applied): ReturnType<tf.layers.Layer['apply']> {
    const outputs = super.apply(inputs, ...rest);
    if (!this.inModel && (Array.isArray(inputs) ? inputs[0] : inputs) instanceof tf.SymbolicTensor) this.joinModel();
    return outputs;
  }

  /**
   * From here on, weights are named as in tfjs' own layers, `layer's name/weight's name`: a model is saved and
   * loaded by these names, which must differ between layers of the same kind.
   */
  private joinModel(): void {
    this.inModel = true;
    for (const weight of this.weights) {
      const name = weight.originalName.slice(weight.originalName.startsWith(this.path) ? this.path.length : 0);
      Object.assign(weight, { originalName: `${this.name}/${name.replace(/^\./, '')}` });
    }
  }

  /** Adds a parameter owned by this layer, with its value from the parameter source. */
  protected parameter(name: string, shape: number[]): tf.LayerVariable {
    const initializer =
      this.source === undefined
        ? tf.initializers.zeros()
        : (new FromSource(this.source, this.path + name) as unknown as ReturnType<typeof tf.initializers.zeros>);
    // The variable is named by its canonical path, without the leading separator of a layer that has no path.
    const variableName = (this.path + name).replace(/^\./, '');
    // As in tfjs, weights are frozen through their layer, so that they can be unfrozen with it.
    const made = this.addWeight(variableName, shape, 'float32', initializer, undefined, true);
    made.trainable = this.trainable;
    this.onParameter?.(made);
    return made;
  }

  /** Configuration for a layer inside this one. */
  protected inside(name: string): CraneLayerConfig {
    return {
      path: this.path + name,
      trainable: this.trainable,
      ...(this.source === undefined ? {} : { parameters: this.source }),
      ...(this.onParameter === undefined ? {} : { onParameter: this.onParameter }),
      runStage: this.runStage,
    };
  }

  /** Adopts an inner layer: its weights count as this layer's, and it is disposed with this one. */
  protected own<T extends CraneLayer>(child: T): T {
    this.children.push(child);
    return child;
  }

  /** Whether the parameters are trained, including those of inner layers. */
  override get trainable(): boolean {
    return super.trainable;
  }

  override set trainable(trainable: boolean) {
    super.trainable = trainable;
    this.children.forEach((child) => {
      child.trainable = trainable;
    });
  }

  override get trainableWeights(): tf.LayerVariable[] {
    return this.trainable
      ? [...super.trainableWeights, ...this.children.flatMap((child) => child.trainableWeights)]
      : [];
  }

  override get nonTrainableWeights(): tf.LayerVariable[] {
    const inner = this.children.flatMap((child) => (this.trainable ? child.nonTrainableWeights : child.weights));
    return [...super.nonTrainableWeights, ...inner];
  }

  override get weights(): tf.LayerVariable[] {
    return [...this.trainableWeights, ...this.nonTrainableWeights];
  }

  /**
   * Releases all parameters, including those of inner layers. If several models share a layer, only the last call does,
   * as in tfjs. Further calls do nothing.
   */
  override dispose(): { refCountAfterDispose: number; numDisposedVariables: number } {
    const uses = this.released ? 0 : (this._refCount ?? 1) - 1;
    if (uses > 0) {
      this._refCount = uses;
      return { refCountAfterDispose: uses, numDisposedVariables: 0 };
    }
    const held = this.released ? [] : this.weights;
    held.forEach((weight) => weight.dispose());
    this.markReleased();
    return { refCountAfterDispose: 0, numDisposedVariables: held.length };
  }

  private markReleased(): void {
    this.released = true;
    this._refCount = 0;
    this.children.forEach((child) => child.markReleased());
  }

  /** Makes a layer from the result of `getConfig`, even after a round trip through a saved model's JSON. */
  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
  ): T {
    const { customObjects: _, ...own } = config;
    return new cls(asWritten(own) as tf.serialization.ConfigDict);
  }
}

/**
 * Undoes how tfjs changes a configuration when it is saved and loaded: strings come back in camel case
 * (`pad_suffix` as `padSuffix`), and undefined as null. Neither changes names.
 */
function asWritten(value: tf.serialization.ConfigDictValue): tf.serialization.ConfigDictValue {
  if (typeof value === 'string') return value.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
  if (Array.isArray(value)) return value.map(asWritten) as tf.serialization.ConfigDictArray;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null && inner !== undefined)
      .map(([key, inner]) => [key, key === 'name' ? inner : asWritten(inner)]),
  );
}

/** The single input tensor of a call, which tfjs may pass alone or in a list. */
export function single(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(inputs) ? (inputs[0] as tf.Tensor) : inputs;
}
