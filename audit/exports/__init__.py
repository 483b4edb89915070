"""Evidence that leaves the house: bundles, and the verifier that goes with them."""
