"""Processes that train."""

import multiprocessing

# One that has imported everything is forked for each training.
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["components.train.run", "components.tune.search"])
