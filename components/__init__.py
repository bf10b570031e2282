"""The stages of the pipeline, a package for each, with the code that they run."""
