"""Statistics that the checks share: counts, exact sums, intervals, distances. Numbers in, numbers out."""
