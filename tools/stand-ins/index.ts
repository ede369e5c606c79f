export { standInForms, type StandInForm, type StandInImage } from './form';
export type { StandInOptions } from './plan';
export { standInNames, writeStandIn, type StandIn } from './write-stand-in';
