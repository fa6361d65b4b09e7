"""Compares an archive's answers with fastai's. It imports fastai, which runs code in the pickle."""
