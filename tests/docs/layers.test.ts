import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import * as ts from 'typescript';
import * as layers from '../../layers';
import { prepareBackend } from '../../lib/backend';
import { expectNoLeak } from '../tensors';

const page = fs.readFileSync(path.resolve(__dirname, '../../docs/layers.md'), 'utf8');

beforeAll(async () => {
  await prepareBackend('auto');
});

test('docs/layers.md names every layer', () => {
  const classes = Object.entries(layers)
    .filter(([, value]) => typeof value === 'function' && value.prototype instanceof layers.CraneLayer)
    .map(([name]) => name);
  expect(classes.length).toBeGreaterThan(25);
  expect(classes.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

test('the example of docs/layers.md trains its head and nothing else', async () => {
  const [, source] = /```ts\n(.*?)```/s.exec(page) as unknown as [string, string];
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const modules: Record<string, unknown> = { '@tensorflow/tfjs': tf, 'crane-tfjs/layers': layers };
  const example = {} as { classifier(): Promise<tf.LayersModel> };
  new Function('require', 'exports', outputText)((name: string) => modules[name], example);
  await expectNoLeak(async () => {
    const model = await example.classifier();
    expect(model.outputShape).toEqual([null, 1]);
    const values = (): Float32Array[] =>
      model.weights.map((weight) => weight.read().dataSync().slice() as Float32Array);
    const [, ...shape] = model.inputs[0]?.shape as number[];
    const [x, y] = [tf.randomUniform([2, ...shape], -1, 1, 'float32', 3), tf.tensor2d([[0], [1]])];
    const before = values();
    await model.fit(x, y, { epochs: 1, verbose: 0 });
    const changed = values().map((after, index) => after.some((value, at) => value !== before[index]?.[at]));
    expect(changed.filter(Boolean)).toHaveLength(2);
    expect(model.weights.filter((_, index) => changed[index]).map(({ originalName }) => originalName)).toEqual(
      model.layers.at(-1)?.weights.map(({ originalName }) => originalName),
    );
    model.dispose();
    tf.dispose([x, y]);
  });
});
