"""What a model leans on, how its output follows its inputs, and how steady that is."""
