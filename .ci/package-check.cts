import { Crane, train, type TrainingResult } from 'crane-tfjs';
import { Linear, type LinearConfig } from 'crane-tfjs/layers';

const loaded: Promise<Crane> = Crane.load();
void loaded;

const config: LinearConfig = { inputs: 2, units: 3, name: 'head', inputShape: [2] };
export const layer = new Linear(config);

export async function prompts(): Promise<string> {
  const run = train({ auxiliary: 'visa', training: { epochs: 1 } });
  for await (const { step, total } of run.steps()) if (step > 10 && total < 1) break;
  const result: TrainingResult = await run.result;
  return result.prompts;
}
