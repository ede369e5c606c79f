import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import * as door from '../../layers';
import { prepareBackend } from '../../lib/backend';
import { expectClose } from '../goldens';
import { expectNoLeak } from '../tensors';
import { ENCODERS } from './encoder-table';
import { LAYERS, type LayerCase } from './layer-table';

/** Every layer that `crane-tfjs/layers` exports. */
const TABLE = { ...LAYERS, ...ENCODERS };
const BATCH = 3;

/** All cases, with a title each. */
const CASES = Object.entries(TABLE).flatMap(([name, cases]) =>
  cases.map((item, index) => [cases.length > 1 ? `${name}, form ${index + 1}` : name, item] as const),
);

beforeAll(async () => {
  await prepareBackend('auto');
});

/** The layer classes that the door exports: those with a class name of their own, which those that are only bases lack. */
const exported = Object.entries(door)
  .filter(([, value]) => typeof value === 'function' && value.prototype instanceof door.CraneLayer)
  .filter(([, value]) => Object.hasOwn(value, 'className'))
  .map(([name]) => name);

const symbolsOf = ({ inputs, below = [] }: LayerCase): tf.SymbolicTensor[] =>
  inputs.map((shape, index) =>
    tf.input({ shape: [...shape], dtype: below[index] === undefined ? 'float32' : 'int32' }),
  );

const valuesOf = ({ inputs, below = [] }: LayerCase): tf.Tensor[] =>
  inputs.map((shape, index) => {
    const limit = below[index];
    return limit === undefined
      ? tf.randomUniform([BATCH, ...shape], -1, 1, 'float32', 5 + index)
      : tf.randomUniform([BATCH, ...shape], 0, limit, 'int32', 5 + index);
  });

const alone = <T>(list: T[]): T | T[] => (list.length === 1 ? (list[0] as T) : list);
const listed = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

const shapesOf = (tensors: { shape: readonly (number | null)[] }[]): (readonly (number | null)[])[] =>
  tensors.map(({ shape }) => shape);

/** A model of two layers of the same kind, whose weights must not be taken for each other's. */
function modelOf(item: LayerCase): { model: tf.LayersModel; layers: door.CraneLayer[] } {
  const inputs = symbolsOf(item);
  const layers = [item.make(), item.make()];
  const outputs = layers.flatMap((layer) => listed(layer.apply(alone(inputs)) as tf.SymbolicTensor));
  tf.tidy(() => {
    const [, second] = layers as [door.CraneLayer, door.CraneLayer];
    second.setWeights(second.getWeights().map((value) => tf.mul(value, 0.5)));
  });
  return { model: tf.model({ inputs, outputs }), layers };
}

async function savedAndLoaded(model: tf.LayersModel): Promise<tf.LayersModel> {
  let saved: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  const artifacts = saved as tf.io.ModelArtifacts;
  // As in a file: what JSON cannot hold is lost.
  const modelTopology = JSON.parse(JSON.stringify(artifacts.modelTopology)) as object;
  return tf.loadLayersModel(tf.io.fromMemory({ ...artifacts, modelTopology }));
}

test('every layer that is exported is in the table, and every layer there is is exported', () => {
  expect(Object.keys(TABLE).sort()).toEqual([...exported].sort());
  const lib = path.resolve(__dirname, '../../lib');
  const registered = fs
    .readdirSync(lib, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [
      ...fs.readFileSync(path.join(lib, file), 'utf8').matchAll(/serialization\.registerClass\((\w+), 'crane'\)/g),
    ])
    .map(([, name]) => name as string);
  expect(registered.sort()).toEqual([...exported].sort());
  exported.forEach((name) => {
    const { className } = (door as unknown as Record<string, { className: string }>)[name] as { className: string };
    expect(className).toBe(name);
  });
});

describe.each(CASES)('%s', (_, item) => {
  test('says the shapes that it gives', async () => {
    await expectNoLeak(() => {
      const layer = item.make();
      const outputs = listed(layer.apply(alone(symbolsOf(item))) as tf.SymbolicTensor);
      expect(shapesOf(outputs)).toEqual(item.outputs.map((shape) => [null, ...shape]));
      tf.tidy(() => {
        const given = listed(layer.apply(alone(valuesOf(item))) as tf.Tensor);
        expect(shapesOf(given)).toEqual(item.outputs.map((shape) => [BATCH, ...shape]));
      });
      layer.dispose();
    });
  });

  test('says null where it cannot know a size, and never another size than it gives', () => {
    tf.tidy(() => {
      const layer = item.make();
      const inputs = valuesOf(item).map(({ shape }) => shape as tf.Shape);
      const whole = item.outputs.map((shape) => [BATCH, ...shape]);
      inputs.forEach((shape, index) =>
        shape.forEach((__, axis) => {
          const unknown = inputs.map((other, at) =>
            other.map((size, of) => (at === index && of === axis ? null : size)),
          ) as tf.Shape[];
          const outputs = layer.computeOutputShape(alone(unknown) as tf.Shape);
          const shapes = (Array.isArray(outputs[0]) ? outputs : [outputs]) as tf.Shape[];
          expect(shapes).toHaveLength(whole.length);
          shapes.forEach((output, at) => {
            expect(output).toHaveLength((whole[at] as number[]).length);
            output.forEach((size, of) => expect([null, (whole[at] as number[])[of]]).toContain(size));
          });
        }),
      );
      layer.dispose();
    });
  });

  test('computes in a model what it computes alone, and is released with it', async () => {
    await expectNoLeak(() => {
      const { model, layers } = modelOf(item);
      tf.tidy(() => {
        const inputs = valuesOf(item);
        const want = layers.flatMap((layer) => listed(layer.apply(alone(inputs)) as tf.Tensor));
        const got = listed(model.predict(alone(inputs)));
        expect(got).toHaveLength(2 * item.outputs.length);
        got.forEach((output, index) => expectClose(output.dataSync(), (want[index] as tf.Tensor).dataSync(), 1e-6));
        expect(want.every((output) => output.dataSync().every(Number.isFinite))).toBe(true);
      });
      expect(model.dispose().numDisposedVariables).toBe(layers.reduce((sum, { weights }) => sum + weights.length, 0));
    });
  });

  test('comes back from a saved model with the same outputs, frozen where it was', async () => {
    await expectNoLeak(async () => {
      const { model, layers } = modelOf(item);
      (layers[1] as door.CraneLayer).trainable = true;
      const loaded = await savedAndLoaded(model);
      const again = layers.map(({ name }) => loaded.getLayer(name));
      expect(again.map((layer) => layer.constructor)).toEqual(layers.map((layer) => layer.constructor));
      expect(again.map((layer) => layer.getConfig())).toEqual(layers.map((layer) => layer.getConfig()));
      expect(again.map(({ trainable }) => trainable)).toEqual([false, true]);
      expect(loaded.trainableWeights).toHaveLength((layers[1] as door.CraneLayer).weights.length);
      tf.tidy(() => {
        const inputs = valuesOf(item);
        const [want, got] = [model, loaded].map((each) => listed(each.predict(alone(inputs)))) as [
          tf.Tensor[],
          tf.Tensor[],
        ];
        want.forEach((output, index) => expectClose((got[index] as tf.Tensor).dataSync(), output.dataSync(), 0));
      });
      model.dispose();
      loaded.dispose();
    });
  });

  test('takes the options of every layer of tfjs', async () => {
    await expectNoLeak(() => {
      const [shape] = item.inputs as [readonly number[]];
      const first = item.make({ name: 'mine', trainable: true, inputShape: [...shape], batchSize: 2, dtype: 'int32' });
      expect(first).toMatchObject({ name: 'mine', trainable: true, batchInputShape: [2, ...shape], dtype: 'int32' });
      expect(first.getConfig()).toMatchObject({ name: 'mine', trainable: true, dtype: 'int32' });
      expect(first.trainableWeights).toHaveLength(first.weights.length);
      expect(first.weights.every(({ trainable }) => trainable)).toBe(true);
      first.trainable = false;
      expect(first.trainableWeights).toEqual([]);
      expect(first.weights.some(({ trainable }) => trainable)).toBe(false);
      const second = item.make({ batchInputShape: [4, ...shape] });
      expect(second).toMatchObject({ trainable: false, batchInputShape: [4, ...shape], dtype: 'float32' });
      second.trainable = true;
      expect(second.trainableWeights).toHaveLength(second.weights.length);
      tf.tidy(() => {
        const values = first.getWeights().map((value) => tf.add(value, 1));
        const third = item.make({ weights: values });
        third.apply(alone(valuesOf(item)));
        third.getWeights().forEach((value, index) => {
          expectClose(value.dataSync(), (values[index] as tf.Tensor).dataSync(), 0);
        });
        third.dispose();
      });
      [first, second].forEach((layer) => layer.dispose());
    });
  });

  test('refuses other inputs by saying what it takes and what it was given', async () => {
    const layer = item.make({ name: 'mine' });
    const refused = (inputs: readonly (readonly number[])[], expected: RegExp): void => {
      const symbols = inputs.map((shape) => tf.input({ shape: [...shape] }));
      const attempts = [
        () => layer.apply(alone(symbols)),
        () => layer.computeOutputShape(alone(inputs.map((shape) => [null, ...shape])) as tf.Shape),
        () => tf.tidy(() => void layer.apply(alone(inputs.map((shape) => tf.ones([BATCH, ...shape]))))),
      ];
      attempts.forEach((attempt) => {
        let error: unknown;
        expect(() => {
          try {
            attempt();
          } catch (thrown) {
            error = thrown;
            throw thrown;
          }
        }).toThrow(expected);
        expect(error).toBeInstanceOf(door.CraneError);
        // The size that is wrong is in the message.
        const right = item.inputs.flat();
        const odd = inputs.flat().find((size, index) => size !== right[index]);
        expect((error as Error).message).toContain(String(odd ?? 'but was given'));
      });
    };
    await expectNoLeak(() => {
      item.wrong.forEach(([inputs, expected]) => refused(inputs, expected));
      const anyRank = /\[…/.test(String(item.wrong[0]?.[1]));
      item.inputs.forEach((shape, index) => {
        const other = (changed: readonly number[]): readonly (readonly number[])[] =>
          item.inputs.map((same, at) => (at === index ? changed : same));
        if (!anyRank) refused(other([...shape, 2]), /takes \[.*, but was given \[/);
      });
      refused([...item.inputs, [2], [2], [2]], /takes \[.*, but was given \[/);
    });
    layer.dispose();
  });
});
