import { GROUPS, type Target } from '../target';
import { archiveTargets } from './archives';
import { datasetTargets } from './datasets';
import { imageTargets } from './images';
import { plantedTargets } from './planted';
import { weightTargets } from './weights';

export const targets: readonly Target[] = [...weightTargets, ...imageTargets, ...archiveTargets, ...datasetTargets];

/** The targets of names and of groups; planted faults by name only. @throws Error for a name that is none */
export function targetsNamed(names: readonly string[]): readonly Target[] {
  const found = names.flatMap((name) => {
    const some = [
      ...targets.filter((target) => target.name === name || target.group === name),
      ...plantedTargets.filter((target) => target.name === name),
    ];
    if (some.length === 0)
      throw new Error(
        `no target ${name}; there are the groups ${GROUPS.join(', ')} and ${targets.map((target) => target.name).join(', ')}`,
      );
    return some;
  });
  return [...new Set(found)];
}
