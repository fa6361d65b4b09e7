"""Turns a fastai learner's pickle into a model archive."""
