"""What runs inside the sandbox: first our own confinement, then the model. Imports no Django."""
