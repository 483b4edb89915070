"""Reading the rows that a check judges: columns, weights, kinds of label, samples."""
