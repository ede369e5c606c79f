import { cocoLayout } from './coco';
import { craneCustomLayout } from './crane-custom';
import { csvListLayout } from './csv-list';
import { dagmLayout } from './dagm';
import { headctLayout } from './headct';
import { imagesMasksLayout } from './images-masks';
import { kolektorLayout } from './kolektor';
import { labelMeLayout } from './labelme';
import type { Layout } from './layout';
import { masksBesideLayout } from './masks-beside';
import { metaJsonLayout } from './meta-json';
import { mvtecLayout } from './mvtec';
import { visaLayout } from './visa';
import { yesNoLayout } from './yes-no';
import { yoloLayout } from './yolo';

/** Every labelled layout; of those that explain as many files of a folder, the first is taken: the most particular come first. */
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
  cocoLayout,
  yoloLayout,
  labelMeLayout,
  yesNoLayout,
];
