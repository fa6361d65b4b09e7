"""fastai's own answers, for comparing an archive's with them. It imports fastai, which runs code of the pickle."""
