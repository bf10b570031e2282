"""Trainer: `run_fn` and its parts, one file for each."""

from components.trainer.run import run_fn

__all__ = ["run_fn"]
