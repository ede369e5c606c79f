import { Crane, train, type TrainingResult } from 'crane-tfjs';

const loaded: Promise<Crane> = Crane.load();
void loaded;

export async function prompts(): Promise<string> {
  const run = train({ auxiliary: 'visa', training: { epochs: 1 } });
  for await (const { step, total } of run.steps()) if (step > 10 && total < 1) break;
  const result: TrainingResult = await run.result;
  return result.prompts;
}
