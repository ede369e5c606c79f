import type { BenchmarkResults, BenchmarkRow } from '../benchmark/benchmark-results';
import { html, type Html } from './html';
import { facts } from './manifest';

/** Everything needed to reproduce the figures: the command, the machine, the files by their hashes, the options. */
export function benchmarkManifest({ datasets, run, schemaVersion }: BenchmarkResults): Html {
  const backends = [
    ...new Set(
      datasets.map(
        ({ model: { backend } }) =>
          `${backend.name}${backend.tensorflowVersion === null ? '' : ` (TensorFlow ${backend.tensorflowVersion})`}`,
      ),
    ),
  ];
  return html`<p>To reproduce these figures:</p><pre class="command" tabindex="0"><code>${run.command}</code></pre>
<details open><summary>Run, machine, files and options</summary><div class="manifest">
${facts('Run', [
  ['date', html`<time datetime="${run.date}">${run.date}</time>`],
  ['duration', `${run.seconds.toFixed(1)} s of scoring`],
  ['crane-tfjs', run.version],
  ['Node', run.node],
  ['seed', run.seed],
  ['backend', backends.join(', ') || 'none needed'],
  ['results', `schema ${schemaVersion}`],
])}${facts(
    'Machine',
    Object.entries(run.machine).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : (JSON.stringify(value) ?? ''),
    ]),
  )}${facts(
    'Files, by SHA-256',
    filesOf(datasets).map(({ name, role, sha256 }) => [
      html`${name} <small>${role}</small>`,
      html`<code>${sha256}</code>`,
    ]),
  )}${optionGroups(datasets).map(({ rows, options }, at, [first]) => facts(at === 0 ? `Options of ${rows}` : `Differences for ${rows}`, optionFacts(options, at === 0 ? undefined : first?.options)))}</div></details>`;
}

type Options = BenchmarkRow['model']['options'];

/** All options, or only those that differ from others. */
function optionFacts(options: Options, elsewhere: Options | undefined): [string, string][] {
  const text = (value: unknown): string => (Array.isArray(value) ? value.join(', ') : String(value));
  const other: Readonly<Record<string, unknown>> = elsewhere ?? {};
  return Object.entries(options)
    .map(([name, value]): [string, string] => [name, text(value)])
    .filter(([name, value]) => elsewhere === undefined || text(other[name]) !== value);
}

/** Each file once. */
function filesOf(
  rows: readonly BenchmarkRow[],
): { readonly name: string; readonly role: string; readonly sha256: string }[] {
  const found = rows.flatMap(({ files: { backbone, prompts, spatial } }) => [
    { ...backbone, role: 'backbone' },
    ...(prompts
      ? [
          {
            ...prompts,
            role: `prompts, ${prompts.auxiliary === null ? 'auxiliary set not recorded' : `trained on ${prompts.auxiliary}`}`,
          },
        ]
      : []),
    ...(spatial ? [{ ...spatial, role: 'second vision model' }] : []),
  ]);
  return [...new Map(found.map((file) => [`${file.role} ${file.sha256}`, file])).values()];
}

/** Rows with the same options together. */
function optionGroups(rows: readonly BenchmarkRow[]): { readonly rows: string; readonly options: Options }[] {
  const groups = new Map<string, BenchmarkRow[]>();
  for (const row of rows) {
    const key = JSON.stringify(row.model.options);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((of) => {
    const recipes = [...new Set(of.map(({ recipe }) => recipe))];
    const named = recipes.map((recipe) => {
      const own = of.filter((row) => row.recipe === recipe);
      return own.length === rows.filter((row) => row.recipe === recipe).length
        ? recipe
        : `${recipe} on ${own.map(({ title }) => title).join(', ')}`;
    });
    return { rows: named.join(' and '), options: (of[0] as BenchmarkRow).model.options };
  });
}
