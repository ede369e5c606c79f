import * as path from 'node:path';
import { formatTable } from '../../terminal/table';
import { pathInSet } from '../../datasets/path-in-set';
import type { Sample } from '../../datasets/sample';
import type { Survey } from '../../datasets/survey';
import { print } from './print';

/** `--json` has the full lists. */
const shownFiles = 20;

/** Shows how each file would be read, from names alone: matching layouts, images by folder, and files left out. */
export function printDryRun(survey: Survey): void {
  const { name, root, layout, reading, candidates, leftOut, problems } = survey;
  print(`${name}: ${root}`);
  print(`Read by the layout ${layout}; no image was opened.\n`);
  print(
    formatTable(
      [
        { title: 'layouts that fit' },
        { title: 'files explained', align: 'right' },
        { title: 'minus files missing', align: 'right' },
        { title: 'in' },
      ],
      candidates.map((candidate) => [
        candidate.layout.name,
        String(candidate.explains),
        String(candidate.score),
        candidate.root,
      ]),
    ),
  );
  print('');
  print(
    formatTable(
      [
        { title: 'images' },
        { title: 'number', align: 'right' },
        { title: 'category' },
        { title: 'read as' },
        { title: 'masks or labels' },
      ],
      groupsOf(survey),
    ),
  );
  const others = reading.others?.length ?? 0;
  if (others > 0)
    print(
      `\nKnown, but not scored: ${others} ${others === 1 ? 'file' : 'files'}, such as ${pathInSet(root, reading.others?.[0] ?? '')}`,
    );
  print(`\nNot part of the set: ${leftOut.length} ${leftOut.length === 1 ? 'file' : 'files'}`);
  leftOut.slice(0, shownFiles).forEach(({ path: file }) => print(`  ${path.relative(survey.folder, file)}`));
  if (leftOut.length > shownFiles) print(`  and ${leftOut.length - shownFiles} more; --json lists all`);
  const said = [...problems, ...reading.problems];
  if (said.length > 0)
    print(`\n${said.length === 1 ? 'One problem' : `${said.length} problems`} found from the names:`);
  said.slice(0, shownFiles).forEach(({ message }) => print(`  ${message}`));
  if (said.length > shownFiles) print(`  and ${said.length - shownFiles} more; --json lists all`);
  print('');
}

/** The same for programs, with every file. */
export function dryRunJson({ name, folder, root, layout, reading, candidates, leftOut, problems }: Survey): object {
  return {
    name,
    folder,
    root,
    layout,
    layouts: candidates.map((candidate) => ({
      name: candidate.layout.name,
      root: candidate.root,
      explains: candidate.explains,
      score: candidate.score,
    })),
    images: reading.categories
      .flatMap(({ samples }) => samples)
      .map((sample) => ({
        path: sample.imagePath,
        category: sample.category,
        readAs: readAs(sample, reading),
        masks: masksOf(sample),
      })),
    others: reading.others ?? [],
    leftOut: leftOut.map(({ path: file }) => file),
    problems: [...problems, ...reading.problems],
  };
}

function readAs({ anomalous, defect, hasMask }: Sample, { labelledByMasks, derive }: Survey['reading']): string {
  if (anomalous && hasMask && (labelledByMasks === true || derive !== undefined))
    return `${defect}, if its mask marks any pixel`;
  return anomalous ? `anomalous: ${defect}` : 'normal';
}

function masksOf({ maskPath, maskParts }: Sample): readonly string[] {
  return maskParts ?? (maskPath === null ? [] : [maskPath]);
}

/** One row for images of a folder that are read the same way and have their masks in one folder. */
function groupsOf({ root, layout, reading }: Survey): string[][] {
  const groups = new Map<string, { cells: string[]; count: number }>();
  for (const sample of reading.categories.flatMap(({ samples }) => samples)) {
    const masks = masksOf(sample);
    const place = (file: string): string => path.dirname(pathInSet(root, file));
    const where = masks[0] === undefined ? '-' : `${place(masks[0])}/`;
    const what = layout === 'bare-folder' ? 'without a label' : readAs(sample, reading);
    const cells = [`${place(sample.imagePath)}/`, sample.category, what, where];
    const key = JSON.stringify(cells);
    const group = groups.get(key) ?? { cells, count: 0 };
    group.count++;
    groups.set(key, group);
  }
  return [...groups.values()].map(
    ({ cells: [folder, category, what, where], count }) => [folder, String(count), category, what, where] as string[],
  );
}
