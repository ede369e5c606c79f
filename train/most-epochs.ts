/** Passes over a set, at most: what is drawn and kept for each of them has to fit into memory. */
export const MOST_EPOCHS = 10_000;
