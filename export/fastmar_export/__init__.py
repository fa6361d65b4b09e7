"""Converts the pickle of a fastai learner to a model archive."""
