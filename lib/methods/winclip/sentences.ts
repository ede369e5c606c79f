/** States of what is inspected, around its name (docs/method.md#winclip-sentences). */
const NORMAL_STATES = [
  '{}',
  'flawless {}',
  'perfect {}',
  'unblemished {}',
  '{} without flaw',
  '{} without defect',
  '{} without damage',
];
const ANOMALOUS_STATES = ['damaged {}', '{} with flaw', '{} with defect', '{} with damage'];

/** The paper's templates around a state. */
const PLAIN = [
  'a cropped photo of the {}',
  'a cropped photo of a {}',
  'a close-up photo of a {}',
  'a close-up photo of the {}',
  'a bright photo of a {}',
  'a bright photo of the {}',
  'a dark photo of the {}',
  'a dark photo of a {}',
  'a jpeg corrupted photo of a {}',
  'a jpeg corrupted photo of the {}',
  'a blurry photo of the {}',
  'a blurry photo of a {}',
  'a photo of a {}',
  'a photo of the {}',
  'a photo of a small {}',
  'a photo of the small {}',
  'a photo of a large {}',
  'a photo of the large {}',
  'a photo of the {} for visual inspection',
  'a photo of a {} for visual inspection',
  'a photo of the {} for anomaly detection',
  'a photo of a {} for anomaly detection',
];

/** As in the reimplementations with the best figures: one is missing, and one occurs twice in another's place. */
const FULL_STOP = PLAIN.filter((template) => template !== 'a cropped photo of a {}').map(
  (template) => `${template === 'a jpeg corrupted photo of a {}' ? 'a jpeg corrupted photo of the {}' : template}.`,
);

export const TEMPLATE_SETS = ['full-stop', 'plain'] as const;
export type TemplateSet = (typeof TEMPLATE_SETS)[number];

/** The sentences of one class, by state, then by template; their order does not affect their mean. */
export interface Sentences {
  readonly normal: readonly string[];
  readonly anomalous: readonly string[];
}

/** @param className as the set spells it; underscores stay */
export function sentencesOf(className: string, templates: TemplateSet): Sentences {
  const around = templates === 'plain' ? PLAIN : FULL_STOP;
  const of = (states: readonly string[]): string[] =>
    states.flatMap((state) =>
      // Functions, since "$&" in a name has a special meaning in a replacement string.
      around.map((template) => template.replace('{}', () => state.replace('{}', () => className))),
    );
  return { normal: of(NORMAL_STATES), anomalous: of(ANOMALOUS_STATES) };
}
