import { UsageError } from '../../lib/errors';
import * as seen from './defects/seen';
import type { DrawDefect } from './defects/surface';
import * as unseen from './defects/unseen';

export interface DefectKind {
  /** Folder name in a set on disk. */
  readonly name: string;
  /** As in a caption, after "with". */
  readonly phrase: string;
  readonly draw: DrawDefect;
}

const kind = (name: string, phrase: string, draw: DrawDefect): DefectKind => ({ name, phrase, draw });

const seenKinds: readonly DefectKind[] = [
  kind('scratch', 'a scratch', seen.scratch),
  kind('stain', 'a stain', seen.stain),
  kind('hole', 'a hole', seen.hole),
  kind('dent', 'a dent', seen.dent),
  kind('crack', 'a crack', seen.crack),
  kind('missing_part', 'a missing part', seen.missingPart),
  kind('colour_spot', 'a colour spot', seen.colourSpot),
  kind('fibre', 'a hair', seen.fibre),
  kind('broken_edge', 'a broken edge', seen.brokenEdge),
  kind('burn', 'a burn', seen.burn),
  kind('loose_thread', 'a loose thread', seen.looseThread),
  kind('smear', 'a smear', seen.smear),
];

const unseenKinds: readonly DefectKind[] = [
  kind('corrosion', 'rust', unseen.corrosion),
  kind('blister', 'a blister', unseen.blister),
  kind('cut_out', 'a cut', unseen.cutOut),
  kind('ghost_print', 'a ghost print', unseen.ghostPrint),
  kind('droplet', 'a drop', unseen.droplet),
  kind('fold', 'a fold', unseen.fold),
  kind('tear', 'a tear', unseen.tear),
  kind('misprint', 'a misprint', unseen.misprint),
  kind('faded_area', 'a faded area', unseen.fadedArea),
];

const byName = new Map([...seenKinds, ...unseenKinds].map((each) => [each.name, each]));

/** Names of the kinds: `seen` ones are in every training, `unseen` ones in the target set alone. */
export const defectKinds: { readonly seen: readonly string[]; readonly unseen: readonly string[] } = {
  seen: seenKinds.map(({ name }) => name),
  unseen: unseenKinds.map(({ name }) => name),
};

/** Whether a kind is in no training of any kind. */
export function isUnseen(name: string): boolean {
  return defectKinds.unseen.includes(name);
}

/** Throws a UsageError `synthetic/defect` that lists the known kinds. */
export function defectNamed(name: string): DefectKind {
  const found = byName.get(name);
  if (found === undefined)
    throw new UsageError('synthetic/defect', `no kind of defect "${name}"; known: ${[...byName.keys()].join(', ')}`, {
      name,
    });
  return found;
}
