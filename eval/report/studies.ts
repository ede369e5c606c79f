import type { CorruptionRow, MatrixStudy } from '../benchmark/benchmark-results';
import type { CorruptionKind, Strength } from '../benchmark/corruptions';
import type { MetricId } from '../metrics/metric-ids';

/** The metrics that studies beside the table report: whether there is a defect, where, and how much of it is found. */
export const STUDIED_METRIC_IDS = [
  'image/auroc',
  'pixel/auroc',
  'pixel/aupro/paper200@0.3',
] as const satisfies readonly MetricId[];
export type StudiedMetricId = (typeof STUDIED_METRIC_IDS)[number];

export interface MatrixGrid {
  readonly recipe: string;
  readonly metric: StudiedMetricId;
  /**
   * Values in the order of the study's targets, 0..1; null where not defined, undefined where the pair does not exist.
   */
  readonly rows: readonly { readonly auxiliary: string; readonly values: readonly (number | null | undefined)[] }[];
}

/**
 * A table of auxiliary by target sets for each recipe and metric; metrics that are defined for no pair are left out.
 */
export function matrixGrids({ cells, auxiliaries, targets }: MatrixStudy): MatrixGrid[] {
  const recipes = [...new Set(cells.map(({ recipe }) => recipe))];
  return recipes.flatMap((recipe) =>
    STUDIED_METRIC_IDS.flatMap((metric) => {
      const own = cells.filter((cell) => cell.recipe === recipe);
      if (own.every(({ mean }) => mean[metric] === null)) return [];
      const rows = auxiliaries
        .filter((auxiliary) => own.some((cell) => cell.auxiliary === auxiliary))
        .map((auxiliary) => ({
          auxiliary,
          values: targets.map(
            (target) => own.find((cell) => cell.auxiliary === auxiliary && cell.target === target)?.mean[metric],
          ),
        }));
      return [{ recipe, metric, rows }];
    }),
  );
}

export interface MeanChange {
  readonly recipe: string;
  readonly kind: CorruptionKind;
  readonly strength: Strength;
  /** How many sets were scored this way. */
  readonly sets: number;
  /** Mean over the sets where it is defined, fractions; null where it is defined on none. Negative is worse. */
  readonly change: Readonly<Record<StudiedMetricId, number | null>>;
}

/** How much metrics change with each kind and strength of degradation, averaged over sets, in the order of the rows. */
export function changeTable(rows: readonly CorruptionRow[]): MeanChange[] {
  const groups = new Map<string, CorruptionRow[]>();
  for (const row of rows) {
    const key = `${row.recipe} ${row.kind} ${row.strength}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((of) => {
    const { recipe, kind, strength } = of[0] as CorruptionRow;
    const mean = (id: StudiedMetricId): number | null => {
      const values = of.map(({ change }) => change[id]).filter((value) => value !== null);
      return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    return {
      recipe,
      kind,
      strength,
      sets: of.length,
      change: Object.fromEntries(STUDIED_METRIC_IDS.map((id) => [id, mean(id)])) as Record<
        StudiedMetricId,
        number | null
      >,
    };
  });
}
