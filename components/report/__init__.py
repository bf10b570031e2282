"""The run's report: what became of a run, as a page for people."""
