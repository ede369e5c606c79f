/**
 * How a registered set lies on disk as it is distributed, in as much detail as drawing a fake one needs
 * (docs/method.md#data-sets). Suffixes that differ between categories are lists that the categories go through in turn.
 */
export type NativeForm =
  /** `CATEGORY/test/NORMAL/000.png`, `CATEGORY/test/DEFECT/000.png`, `CATEGORY/ground_truth/DEFECT/000_mask.png`. */
  | {
      readonly layout: 'mvtec';
      readonly normal: string;
      readonly defects: readonly string[];
      readonly image: readonly string[];
      readonly mask: readonly string[];
      /** What a mask's name has more than its image's. */
      readonly maskEnding: string;
    }
  /** `CATEGORY/Data/Images/{Normal,Anomaly}/000.JPG`, `CATEGORY/Data/Masks/Anomaly/000.png`, `split_csv/1cls.csv`. */
  | { readonly layout: 'visa' }
  /** `kosNN/PartM.jpg`, `kosNN/PartM_label.bmp`. */
  | { readonly layout: 'kolektor' }
  /** `ClassN/{Train,Test}/0001.PNG`, `ClassN/{Train,Test}/Label/0001_label.PNG` and `Labels.txt`. */
  | { readonly layout: 'dagm' }
  /** Two folders with names that fit. */
  | {
      readonly layout: 'images-masks';
      readonly images: string;
      readonly masks: string;
      readonly image: string;
      readonly mask: string;
      readonly maskEnding: string;
      /** What names begin with. */
      readonly stem: string;
    }
  /** `head_ct/head_ct/000.png`, `labels.csv`. */
  | { readonly layout: 'headct' }
  /** `yes/`, `no/`; `nested`: the same again in this folder; `unlabelled`: a folder of images that no label is known of. */
  | {
      readonly layout: 'yes-no';
      readonly image: readonly string[];
      readonly nested?: string;
      readonly unlabelled?: string;
    };
