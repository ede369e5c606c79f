import * as tf from '@tensorflow/tfjs';

/**
 * Gives a layer its parameters: read from a file, or drawn at random for a network that is to be trained. `path` is the
 * parameter's canonical name (OpenAI's state dict, such as `visual.transformer.resblocks.0.ln_1.weight`); the tensor
 * returned has the shape asked for and is owned by the layer.
 */
export interface ParameterSource {
  (path: string, shape: number[]): tf.Tensor;
  /** The transpose of the matrix `path`, which has `shape` itself, where the source has a cheaper way to it than by its tensor. */
  readonly transposed?: (path: string, shape: number[]) => tf.Tensor;
}

export interface CraneLayerConfig {
  readonly name?: string;
  readonly trainable?: boolean;
  /** Canonical name of this layer's place in the network, prefixed to its parameters' names. */
  readonly path?: string;
  /** Without one, parameters start at zero and wait for `setWeights` (as after deserialisation). */
  readonly parameters?: ParameterSource;
  /** Called with every parameter as it is created, so that all can be released if a later one is missing. */
  readonly onParameter?: (parameter: tf.LayerVariable) => void;
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

/**
 * The base of all layers here. Adds to `tf.layers.Layer`: parameters by canonical name without a detour through zeros,
 * layers made of layers, and a `dispose` that works before the first call.
 */
export abstract class CraneLayer extends tf.layers.Layer {
  protected readonly path: string;
  private readonly source: ParameterSource | undefined;
  private readonly onParameter: CraneLayerConfig['onParameter'];
  private readonly children: CraneLayer[] = [];
  private released = false;

  constructor(config: CraneLayerConfig) {
    super({ ...(config.name === undefined ? {} : { name: config.name }), trainable: config.trainable ?? false });
    this.path = config.path ?? '';
    this.source = config.parameters;
    this.onParameter = config.onParameter;
    // Parameters are made in constructors, where shapes are known; there is nothing left to build.
    this.built = true;
  }

  /** Adds a parameter that this layer owns, filled from the parameter source. */
  protected parameter(name: string, shape: number[]): tf.LayerVariable {
    const initializer =
      this.source === undefined
        ? tf.initializers.zeros()
        : (new FromSource(this.source, this.path + name) as unknown as ReturnType<typeof tf.initializers.zeros>);
    // The variable is named by its canonical path, less the separator in front that a layer without a path leaves.
    const variableName = (this.path + name).replace(/^\./, '');
    const made = this.addWeight(variableName, shape, 'float32', initializer, undefined, this.trainable);
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
    };
  }

  /** Takes a layer in: its weights count as this one's, and it is disposed with this one. */
  protected own<T extends CraneLayer>(child: T): T {
    this.children.push(child);
    return child;
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

  /** Releases all parameters, those of inner layers too. A second call does nothing. */
  override dispose(): { refCountAfterDispose: number; numDisposedVariables: number } {
    const held = this.released ? [] : this.weights;
    held.forEach((weight) => weight.dispose());
    this.markReleased();
    return { refCountAfterDispose: 0, numDisposedVariables: held.length };
  }

  private markReleased(): void {
    this.released = true;
    this.children.forEach((child) => child.markReleased());
  }
}

/** The one tensor of a call's input, which tfjs may hand over alone or in a list. */
export function single(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(inputs) ? (inputs[0] as tf.Tensor) : inputs;
}
