import type { ModelDescription } from '../../lib/crane';
import type { RunManifest } from '../results';
import { html, type Html, type Insertable } from './html';

/** Everything needed to reproduce the figures, collapsed. */
export function runManifest(model: ModelDescription, run: RunManifest): Html {
  const { vision, text, embedDimension } = model.sizes;
  const { backend, options, preprocessing } = model;
  const learned = learnedPart(model);
  const backendNotes = [
    backend.tensorflowVersion === null ? null : `TensorFlow ${backend.tensorflowVersion}`,
    `${backend.threads} ${backend.threads === 1 ? 'thread' : 'threads'}`,
    backend.gpu ? 'GPU' : null,
  ].filter((note) => note !== null);
  return html`<details><summary>Run and model: how these figures were made</summary><div class="manifest">
${facts('Run', [
  ['command', html`<code>${run.command}</code>`],
  ['date', html`<time datetime="${run.date}">${run.date}</time>`],
  ['duration', `${run.seconds.toFixed(1)} s`],
  ['crane-tfjs', run.version],
  ['Node', run.node],
  ['backend', `${backend.name} (${backendNotes.join(', ')})`],
  ['why this backend', backend.reason],
])}${facts('Model', [
    ['method', model.method],
    ['backbone', model.backbone],
    ...(learned === null
      ? []
      : ([
          [learned.called, learned.name],
          [`${learned.called} trained on`, model.auxiliary ?? 'not recorded in their file'],
        ] as const)),
    [
      'vision encoder',
      `${vision.layers} blocks of width ${vision.width}, ${vision.heads} heads, patches of ${vision.patchSize} px`,
    ],
    ['text encoder', `${text.layers} blocks of width ${text.width}, ${text.heads} heads`],
    ['shared space', `${embedDimension} dimensions`],
    ['activation', model.activation],
    [
      'input',
      `resized ${preprocessing.resize === 'bicubic' ? 'bicubically' : 'bilinearly'}, mean ${preprocessing.mean.join(', ')}, deviation ${preprocessing.std.join(', ')}`,
    ],
    [
      'images read',
      preprocessing.reference ? 'as the reference program reads them' : 'with EXIF orientation, 16 bits scaled',
    ],
  ])}${facts(
    'Options',
    Object.entries(options).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : String(value)]),
  )}</div></details>`;
}

/** Names and values under a heading. */
export function facts(title: string, of: readonly (readonly [Insertable, Insertable])[]): Html {
  return html`<div><h3>${title}</h3><dl>${of.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></div>`;
}

/** What a model has learned, and where it comes from; null for methods that learn nothing. */
export function learnedPart({
  prompts,
  checkpoint,
}: Pick<ModelDescription, 'prompts' | 'checkpoint'>): { readonly called: string; readonly name: string } | null {
  if (prompts !== null) return { called: 'prompts', name: prompts };
  return checkpoint === undefined ? null : { called: 'checkpoint', name: checkpoint };
}
