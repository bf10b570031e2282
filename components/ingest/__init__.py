"""ImportExampleGen: reads, checks and mixes the records."""
