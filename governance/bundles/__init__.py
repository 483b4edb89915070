"""What goes into an evidence bundle: the question, the objects it is about, and the bytes that their entries name."""
