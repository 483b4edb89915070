"""Evidence bundles at scale: how fast a million entries leave, in how much memory, and how fast they are checked."""
