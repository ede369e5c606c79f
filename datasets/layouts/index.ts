import { craneCustomLayout } from './crane-custom';
import { csvListLayout } from './csv-list';
import { dagmLayout } from './dagm';
import { headctLayout } from './headct';
import { imagesMasksLayout } from './images-masks';
import { kolektorLayout } from './kolektor';
import type { Layout } from './layout';
import { masksBesideLayout } from './masks-beside';
import { metaJsonLayout } from './meta-json';
import { mvtecLayout } from './mvtec';
import { visaLayout } from './visa';
import { yesNoLayout } from './yes-no';

/** Every labelled layout, in the order in which a folder of unknown origin is tried: the most particular first. */
export const layouts: readonly Layout[] = [
  metaJsonLayout,
  visaLayout,
  headctLayout,
  kolektorLayout,
  dagmLayout,
  csvListLayout,
  mvtecLayout,
  craneCustomLayout,
  imagesMasksLayout,
  masksBesideLayout,
  yesNoLayout,
];
