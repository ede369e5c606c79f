/**
 * Runs tasks beside the main work, a few at once. Tasks of one key, such as the file that they write, run one after the
 * other in the order in which they were started.
 */
export class SideTasks {
  private readonly running = new Map<string, Promise<void>>();
  private bytes = 0;
  private failure: { readonly error: unknown } | undefined;

  /**
   * @param most how many tasks run at once
   * @param mostBytes what they hold in memory together; one that holds more runs alone
   */
  constructor(
    private readonly most: number,
    private readonly mostBytes = Infinity,
  ) {}

  /**
   * Starts a task, once there is room for it. One that holds more than all may together is waited for.
   * @param bytes what it holds in memory
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
