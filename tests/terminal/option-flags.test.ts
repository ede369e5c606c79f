import * as fs from 'node:fs';
import * as path from 'node:path';
import * as ts from 'typescript';
import type { FetchOptions } from '../../datasets/fetch';
import type { OpenDatasetOptions } from '../../datasets/dataset';
import type { EvaluateOptions } from '../../eval/evaluator';
import type { ScoreMapsOptions } from '../../eval/score-maps';
import type { CraneOptions } from '../../lib/crane';
import { asFlags, OTHER_NAMES, SAME_NAMES, dashed } from '../../terminal/option-flags';
import type { TrainingOptionsInput } from '../../train/options';
import type { TrainOptions } from '../../train/run-options';
import { runCrane } from '../cli/run-crane';

/** Options of the library's calls that the commands have as well. */
type ApiOption =
  | keyof CraneOptions
  | keyof TrainOptions
  | keyof TrainingOptionsInput
  | keyof FetchOptions
  | keyof OpenDatasetOptions
  | keyof EvaluateOptions
  | keyof ScoreMapsOptions;

// The compiler refuses a name that no call has.
const optionsOfCalls: readonly ApiOption[] = SAME_NAMES;

const root = path.resolve(__dirname, '../..');

test.each([
  ['use a smaller `imageSize`', 'use a smaller --image-size'],
  ["or do without: `spatial: 'none'`.", 'or do without: --spatial none.'],
  ['give it with `spatial.weights`', 'give it with --spatial-weights'],
  [
    '`overwrite: true`, `cache: false`, `pixelWeight: 0`, `layers: [6, 12]`',
    '--overwrite, --no-cache, --pixel-weight 0, --layers 6,12',
  ],
  ["go on: `resume: '/a b/it's'`", "go on: --resume '/a b/it'\\''s'"],
  ['`auxiliary` and `cache.size: 2000`', '--aux and --cache-size 2000'],
  [
    'run `crane doctor` again; `unknown`, imageSize and seed stay',
    'run `crane doctor` again; `unknown`, imageSize and seed stay',
  ],
])('%s', (message, expected) => {
  expect(asFlags(message)).toBe(expected);
});

test('names of options are listed once', () => {
  expect(new Set([...optionsOfCalls, ...Object.keys(OTHER_NAMES)]).size).toBe(
    SAME_NAMES.length + Object.keys(OTHER_NAMES).length,
  );
});

test('every flag that a message can name is one of a command', async () => {
  const helps: unknown[] = [];
  const log = jest.spyOn(console, 'log').mockImplementation((text) => void helps.push(text));
  for (const command of [['detect'], ['train'], ['eval'], ['metrics'], ['datasets', 'fetch']])
    await runCrane(...command, '--help');
  log.mockRestore();
  const known = new Set(helps.join('\n').match(/--[a-z-]+/g));
  expect(
    [...SAME_NAMES.map(dashed), ...Object.values(OTHER_NAMES)].filter(
      (flag) => !known.has(`--${flag}`) && !known.has(`--no-${flag}`),
    ),
  ).toEqual([]);
});

/** Every text in a source file, its comments left out. */
function textsOf(file: string): string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node))
      texts.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.Latest));
  return texts;
}

function sourcesOf(folder: string): string[] {
  return fs
    .readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join(folder, name));
}

test('messages of the library name its options, not flags', () => {
  const commands = /(^|\/)(config|working-commit)\.ts$|^eval\/report\//;
  const files = [
    ...sourcesOf('lib'),
    ...['datasets', 'train', 'eval'].flatMap(sourcesOf).filter((file) => !commands.test(file)),
  ];
  const wrong = files.flatMap((file) =>
    textsOf(path.join(root, file))
      // A whole command line is no option of a call, nor are styles.
      .map((text) =>
        text
          .replaceAll(/\b(crane [a-z]+|npm install)\b[^\n;]*/g, '')
          .replaceAll(/\{[^}]*\}/g, '')
          .replaceAll('--no-save', ''),
      )
      .filter((text) => /(^|[\s("'`])--(?!accept-license)[a-z][a-z-]+/.test(text))
      .map((text) => `${file}: ${text.trim()}`),
  );
  expect(wrong).toEqual([]);
});
