/**
 * What long operations report, with totals known before the first step. Progress bars, plain log lines and JSON lines
 * are consumers of this one union; the library itself never prints.
 */
export type Progress =
  | {
      readonly kind: 'start';
      readonly task: string;
      readonly total: number;
      readonly unit: 'bytes' | 'images' | 'steps';
      /** How much was done before, where a task is resumed. */
      readonly done?: number;
    }
  | {
      readonly kind: 'advance';
      readonly task: string;
      /** How much is done so far, not the increment. */
      readonly done: number;
      readonly total: number;
      /** Figures worth showing beside the bar, such as losses. */
      readonly values?: Readonly<Record<string, number>>;
    }
  | { readonly kind: 'done'; readonly task: string };

/** Told of the progress of a long operation. */
export type OnProgress = (progress: Progress) => void;
