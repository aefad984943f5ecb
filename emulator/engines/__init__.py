"""What runs an experiment: Ray actors, one process each, or the same cores in this process."""
