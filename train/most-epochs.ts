/** Upper limit for passes over a set: the random choices for every pass have to fit into memory. */
export const MOST_EPOCHS = 10_000;
