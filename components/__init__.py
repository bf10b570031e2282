"""The stages of the pipeline: for each one module or folder with the code that it runs."""
