/** Drawn images and synthetic sets: the public names. */
export { allCaptionWords, captionsFor, damagedStates, normalStates } from './captions';
export { defectKinds, isUnseen } from './defects';
export {
  drawPair,
  drawPicture,
  GENERATOR_VERSION,
  type DrawnPair,
  type DrawnPicture,
  type PictureRequest,
} from './draw';
export { auxiliaryFamilies, families, pretrainingFamilies, targetFamilies, type Family } from './families';
export {
  categoryOf,
  defaultPerCategory,
  synthesizeSet,
  syntheticSetNames,
  type PerCategory,
  type SyntheticSetName,
  type SyntheticSetRecord,
} from './write-set';
