/**
 * Runs tasks alongside the main work, a few at once. Tasks with the same key, such as the file they write, run one
 * after the other in the order in which they were started.
 */
export class SideTasks {
  private readonly running = new Map<string, Promise<void>>();
  private bytes = 0;
  private failure: { readonly error: unknown } | undefined;

  /**
   * @param most how many tasks run at once
   * @param mostBytes how much memory they use together; a task that uses more runs alone
   */
  constructor(
    private readonly most: number,
    private readonly mostBytes = Infinity,
  ) {}

  /**
   * Starts a task once there is room for it. A task that exceeds the memory limit by itself is awaited.
   * @param bytes memory that it uses
   * @throws what an earlier task threw
   */
  async start(key: string, task: () => Promise<void>, bytes = 0): Promise<void> {
    const isFull = (): boolean => this.running.size >= this.most || this.bytes + bytes > this.mostBytes;
    while ((this.running.size > 0 && isFull()) || this.running.has(key)) await Promise.race(this.running.values());
    this.throwFailure();
    this.bytes += bytes;
    const done = task()
      .catch((error: unknown) => void (this.failure ??= { error }))
      .finally(() => {
        this.running.delete(key);
        this.bytes -= bytes;
      });
    this.running.set(key, done);
    if (bytes > this.mostBytes) await done;
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
