import { UsageError } from '../../lib/errors';
import * as cloth from './families/cloth';
import * as electronics from './families/electronics';
import * as ground from './families/ground';
import * as hardware from './families/hardware';
import * as household from './families/household';
import * as sheets from './families/sheets';
import type { DrawFamily } from './layout';

/**
 * What a family may be used for. `pretraining` and `auxiliary` families teach the backbone; the auxiliary ones are also
 * the categories that prompts are trained on; a `target` family is in neither, and is only ever scored.
 */
export type FamilyGroup = 'pretraining' | 'auxiliary' | 'target';

export interface Family {
  /** As in captions: common words, singular. Folder names join them with an underscore. */
  readonly name: string;
  readonly group: FamilyGroup;
  /** A texture fills the image; an object lies on a background. */
  readonly texture: boolean;
  readonly draw: DrawFamily;
}

const texture = (name: string, group: FamilyGroup, draw: DrawFamily): Family => ({ name, group, texture: true, draw });
const object = (name: string, group: FamilyGroup, draw: DrawFamily): Family => ({ name, group, texture: false, draw });

/** Every family. No family is in two groups. */
export const families: readonly Family[] = [
  texture('woven cloth', 'auxiliary', cloth.wovenCloth),
  texture('knit', 'auxiliary', cloth.knit),
  texture('leather', 'auxiliary', sheets.leather),
  texture('wire mesh', 'auxiliary', sheets.wireMesh),
  object('washer', 'auxiliary', hardware.washer),
  object('gear', 'auxiliary', hardware.gear),
  object('computer chip', 'auxiliary', electronics.computerChip),
  object('pill', 'auxiliary', household.pill),

  texture('striped cloth', 'pretraining', cloth.stripedCloth),
  texture('checked cloth', 'pretraining', cloth.checkedCloth),
  texture('denim', 'pretraining', cloth.denim),
  texture('dotted cloth', 'pretraining', cloth.dottedCloth),
  texture('brushed metal', 'pretraining', sheets.brushedMetal),
  texture('marble', 'pretraining', sheets.marble),
  texture('corrugated board', 'pretraining', sheets.corrugatedBoard),
  texture('paper', 'pretraining', sheets.paper),
  texture('perforated sheet', 'pretraining', sheets.perforatedSheet),
  texture('gravel', 'pretraining', ground.gravel),
  texture('terrazzo', 'pretraining', ground.terrazzo),
  texture('brick wall', 'pretraining', ground.brickWall),
  texture('plaster', 'pretraining', ground.plaster),
  texture('sand', 'pretraining', ground.sand),
  texture('scales', 'pretraining', ground.scales),
  texture('parquet', 'pretraining', ground.parquet),
  texture('beads', 'pretraining', ground.beads),
  object('nut', 'pretraining', hardware.hexNut),
  object('screw', 'pretraining', hardware.screw),
  object('bolt', 'pretraining', hardware.boltHead),
  object('spring', 'pretraining', hardware.spring),
  object('key', 'pretraining', hardware.key),
  object('coin', 'pretraining', hardware.coin),
  object('plug', 'pretraining', electronics.plug),
  object('battery', 'pretraining', electronics.battery),
  object('light bulb', 'pretraining', electronics.lightBulb),
  object('button', 'pretraining', household.button),
  object('biscuit', 'pretraining', household.biscuit),
  object('bottle', 'pretraining', household.bottle),
  object('tag', 'pretraining', household.tag),
  object('spoon', 'pretraining', household.spoon),
  object('comb', 'pretraining', household.comb),
  object('die', 'pretraining', household.die),
  object('flower', 'pretraining', household.flower),

  texture('wood', 'target', ground.wood),
  texture('tiles', 'target', ground.tiles),
  texture('carpet', 'target', cloth.carpet),
  texture('honeycomb', 'target', sheets.honeycomb),
  texture('hammered metal', 'target', sheets.hammeredMetal),
  object('bottle top', 'target', hardware.bottleTop),
  object('capsule', 'target', household.capsule),
  object('circuit board', 'target', electronics.circuitBoard),
  object('zip', 'target', household.zip),
  object('toothbrush', 'target', household.toothbrush),
  object('transistor', 'target', electronics.transistor),
  object('leaf', 'target', household.leaf),
];

const byName = new Map(families.map((family) => [family.name, family]));

/** Throws a UsageError `synthetic/family` that lists the known families. */
export function familyNamed(name: string): Family {
  const family = byName.get(name);
  if (family === undefined)
    throw new UsageError('synthetic/family', `no synthetic family "${name}"; known: ${[...byName.keys()].join(', ')}`, {
      name,
    });
  return family;
}

/** What the backbone is pretrained on: the families of the groups `pretraining` and `auxiliary`. */
export const pretrainingFamilies: readonly Family[] = families.filter(({ group }) => group !== 'target');
/** The categories of the auxiliary set. */
export const auxiliaryFamilies: readonly Family[] = families.filter(({ group }) => group === 'auxiliary');
/** The categories of the target set: in no training of any kind. */
export const targetFamilies: readonly Family[] = families.filter(({ group }) => group === 'target');
