import * as path from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { ACTIVATIONS, type Activation } from '../lib/layers/mlp';
import { UsageError } from '../lib/errors';
import { registeredWeights, registeredWeightsOf } from '../lib/weights/registry';
import type { RegisteredWeights } from '../lib/weights/registered-weights';
import type { OpenClipOptions } from '../lib/weights/clip-weights';
import { describeLeftOut, type TensorSource } from '../lib/weights/tensor-source';
import { cachedWeightsPath, fetchWeights, isCached, weightsFolder } from '../lib/weights/weight-cache';
import { convertWeights, storedTypes, type StoredType } from './convert-weights';
import { headsFrom } from '../terminal/model-options';
import { print, printJson, say } from '../terminal/output';
import { createProgressReporter } from '../terminal/progress-bar';
import { formatBytes, formatTable } from '../terminal/table';

interface JsonOption {
  readonly json: boolean;
}

const withJson = <T>(yargs: Argv<T>): Argv<T & JsonOption> =>
  yargs.option('json', {
    type: 'boolean',
    default: false,
    describe: 'One JSON value on standard output instead of text',
  });

const listCommand: CommandModule<object, JsonOption> = {
  command: 'list',
  describe: 'Files that can be fetched by name, and which are present',
  builder: (yargs) => withJson(yargs),
  handler: ({ json }) => {
    const entries = registeredWeights.map((entry) => ({
      ...entry,
      path: cachedWeightsPath(entry),
      present: isCached(entry),
    }));
    if (json) return printJson({ folder: weightsFolder(), weights: entries }, 2);
    print(`Folder: ${weightsFolder()}\n`);
    print(
      formatTable(
        [
          { title: 'name' },
          { title: 'kind' },
          { title: 'size', align: 'right' },
          { title: 'sha256' },
          { title: 'what' },
          { title: 'here' },
        ],
        entries.map((entry) => [
          entry.name,
          entry.kind,
          sizeOf(entry),
          entry.sha256?.slice(0, 8) ?? 'not known',
          entry.about,
          entry.present ? 'present' : '-',
        ]),
      ),
    );
    print(
      '\nFiles whose sha256 is not known are verified by their length only.\ndinov2, dino and sam alone mean dinov2_vitb14_reg4, dino_vitb8 and sam_vit_b, as in the paper.',
    );
  },
};

const fetchCommand: CommandModule<object, JsonOption & { names: string[] }> = {
  command: 'fetch <names..>',
  describe: 'Download files by name into the cache folder; interrupted downloads resume',
  builder: (yargs) =>
    withJson(yargs).positional('names', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'Names from "weights list", such as ViT-L/14@336px, crane-visa or dinov2',
    }) as Argv<JsonOption & { names: string[] }>,
  handler: async ({ names, json }) => {
    const entries = names.map((name) => registeredWeightsOf(name));
    const onProgress = createProgressReporter(process.stderr, { json });
    const interrupt = new AbortController();
    const stop = (): void => interrupt.abort();
    process.once('SIGINT', stop);
    try {
      for (const entry of entries) {
        const file = await fetchWeights(entry, {
          onProgress,
          signal: interrupt.signal,
          onWait: (holder) => say(`${entry.name} is being fetched by process ${holder?.pid ?? '?'}; waiting for it`),
        });
        if (json) printJson({ name: entry.name, path: file });
        else print(file);
      }
    } finally {
      process.removeListener('SIGINT', stop);
    }
  },
};

interface NetworkOptions {
  readonly activation: Activation | undefined;
  readonly heads: string | undefined;
}

/** Options for what a CLIP file may leave open. */
const withNetwork = <T>(yargs: Argv<T>): Argv<T & NetworkOptions> =>
  yargs
    .option('activation', { choices: ACTIVATIONS, describe: 'Activation of a backbone, overriding its file' })
    .option('heads', {
      type: 'string',
      describe:
        "A backbone's attention heads, where its file does not say: for the vision tower, or for both as in 16,12",
    }) as Argv<T & NetworkOptions>;

function networkFrom({ activation, heads: text }: NetworkOptions): OpenClipOptions {
  const heads = headsFrom({ heads: text });
  return { ...(activation === undefined ? {} : { activation }), ...(heads === undefined ? {} : { heads }) };
}

const inspectCommand: CommandModule<object, JsonOption & NetworkOptions & { file: string }> = {
  command: 'inspect <file>',
  describe:
    'Show what a weights file holds: names, types and shapes of its tensors, and for a CLIP or a vision model, how they are used',
  builder: (yargs) =>
    withNetwork(withJson(yargs)).positional('file', {
      type: 'string',
      demandOption: true,
      describe: 'safetensors, .pt, .pth, .bin, TorchScript, or a HuggingFace folder',
    }),
  handler: async ({ file, json, ...network }) => {
    const { openTensors } = await import('../lib/weights/open');
    const { describeClip } = await import('./describe-clip');
    const { describeSpatial } = await import('./describe-spatial');
    const source = await openTensors(file);
    try {
      const clip = await describeClip(file, networkFrom(network));
      const spatial = await describeSpatial(file);
      if (json) return printJson({ ...describeSource(source), clip: clip ?? null, spatial: spatial ?? null }, 2);
      printSource(source);
      if (clip !== undefined)
        print(
          `\n${'text' in clip ? [`${clip.text}.`, ...clip.guesses].join('\n') : `Not a usable CLIP: ${clip.problem}`}`,
        );
      if (spatial !== undefined)
        print(
          `\n${'text' in spatial ? `${spatial.text}. Use: --spatial ${spatial.family} --spatial-weights ${file}` : `Not a usable vision model: ${spatial.problem}`}`,
        );
    } finally {
      source.close();
    }
  },
};

const convertCommand: CommandModule<
  object,
  NetworkOptions & { from: string; to: string; dtype: StoredType; backbone: string | undefined; force: boolean }
> = {
  command: 'convert <from> <to>',
  describe: 'Write prompts as .safetensors or .pth, or a backbone as .safetensors',
  builder: (yargs) =>
    withNetwork(yargs)
      .positional('from', { type: 'string', demandOption: true, describe: 'Any file that "weights inspect" reads' })
      .positional('to', {
        type: 'string',
        demandOption: true,
        describe: 'File to write; its suffix decides the format',
      })
      .option('dtype', {
        choices: storedTypes,
        default: 'keep' as StoredType,
        describe:
          'Number type in a .safetensors file; keep leaves it unchanged, except that float64 becomes float32. Prompts are float32. Values that do not fit are refused',
      })
      .option('backbone', {
        type: 'string',
        describe: "Name or file of the prompts' backbone; needed for .pth where the source holds only the prompts",
      })
      .option('force', { type: 'boolean', default: false, describe: 'Replace an existing file' }),
  handler: async ({ from, to, dtype, backbone, force, ...network }) => {
    if (path.resolve(from) === path.resolve(to))
      throw new UsageError('usage/same-file', `${from} cannot be overwritten with itself: choose another output name`, {
        from,
        to,
      });
    const { tensors, bytes, notes, leftOut, values } = await convertWeights(from, to, {
      dtype,
      force,
      network: networkFrom(network),
      ...(backbone !== undefined && { backbone }),
      onProgress: createProgressReporter(process.stderr),
    });
    print(`${to}: ${tensors} tensors, ${formatBytes(bytes)}`);
    notes.forEach(print);
    if (leftOut.length > 0)
      print(
        `Not written, since only plain tensors are: ${describeLeftOut(new Map(leftOut.map((entry) => [entry.name, entry])))}`,
      );
    if (values > 0)
      print(
        `Not written, since they are not tensors: ${values} value${values === 1 ? '' : 's'} such as settings or counters`,
      );
  },
};

/** `crane weights list|fetch|inspect|convert`. */
export const weightsCommand: CommandModule = {
  command: 'weights',
  describe: 'Backbones, prompts and vision models: list, download, inspect, convert',
  builder: (yargs) =>
    yargs
      .command(listCommand)
      .command(fetchCommand)
      .command(inspectCommand)
      .command(convertCommand)
      .demandCommand(1, 'Choose a command: list, fetch, inspect or convert.'),
  handler: () => undefined,
};

/** All prompts have the same size, whether or not their exact length is known. */
function sizeOf({ kind, bytes }: RegisteredWeights): string {
  if (bytes !== null) return formatBytes(bytes);
  return kind === 'prompts' ? '~577 kB' : 'not known';
}

function describeSource(source: TensorSource): object {
  const tensors = [...source.entries.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  return {
    path: source.path,
    format: source.format,
    metadata: source.metadata,
    parameters: countParameters(source),
    tensors,
    leftOut: [...source.leftOut.values()].map(({ name, kind }) => ({ name, kind })),
  };
}

function countParameters(source: TensorSource): number {
  return [...source.entries.values()].reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
}

function printSource(source: TensorSource): void {
  const metadata = Object.entries(source.metadata);
  print(
    `${source.path}\n${source.format}, ${source.entries.size} tensors, ${countParameters(source).toLocaleString('en')} values\n`,
  );
  print(
    formatTable(
      [{ title: 'name' }, { title: 'type' }, { title: 'shape' }],
      [...source.entries.values()].map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`]),
    ),
  );
  if (source.leftOut.size > 0)
    print(`\nLeft out, since only plain tensors are read: ${describeLeftOut(source.leftOut)}`);
  if (metadata.length === 0) return;
  print('\nStored with them:');
  // Model options fit on one line, pages of JSON do not.
  metadata.forEach(([name, value]) =>
    print(
      `  ${name}: ${value.length > 300 ? `${value.slice(0, 300)}… (${value.length} characters; --json shows all)` : value}`,
    ),
  );
}
