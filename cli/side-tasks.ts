/**
 * Runs tasks beside the main work, a few at once. Tasks of one key, such as the file that they write, run one after the
 * other in the order in which they were started.
 */
export class SideTasks {
  private readonly running = new Map<string, Promise<void>>();
  private failure: { readonly error: unknown } | undefined;

  /** @param most how many tasks run at once */
  constructor(private readonly most: number) {}

  /**
   * Starts a task, once there is room for it.
   * @throws what an earlier task threw
   */
  async start(key: string, task: () => Promise<void>): Promise<void> {
    while (this.running.size >= this.most || this.running.has(key)) await Promise.race(this.running.values());
    this.throwFailure();
    const done = task()
      .catch((error: unknown) => void (this.failure ??= { error }))
      .finally(() => this.running.delete(key));
    this.running.set(key, done);
  }

  /**
   * Waits for all tasks.
   * @throws what one of them threw
   */
  async finish(): Promise<void> {
    await Promise.all(this.running.values());
    this.throwFailure();
  }

  private throwFailure(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }
}
