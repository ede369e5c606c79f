/** A sum of up to billions of terms, accurate to the last bits (Neumaier): the error of each addition is kept. */
export class CompensatedSum {
  private sum = 0;
  private lost = 0;

  add(term: number): void {
    const total = this.sum + term;
    this.lost += Math.abs(this.sum) >= Math.abs(term) ? this.sum - total + term : term - total + this.sum;
    this.sum = total;
  }

  get value(): number {
    return this.sum + this.lost;
  }
}
