"""How well a model does: by task, against the live version, slice by slice."""
