"""What stops a run for its data, and the schema that it goes by."""
