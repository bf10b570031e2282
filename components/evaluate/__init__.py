"""Evaluator and the champion that a candidate is held against."""
