export { standInRecordOf, type StandInRecord } from '../../datasets/stand-in-record';
export { standInForms, type StandInForm, type StandInImage, type StandInPlan } from './form';
export { planStandIn, type StandInOptions } from './plan';
export { standInNames, writeStandIn, type StandIn, type WriteStandInOptions } from './write-stand-in';
