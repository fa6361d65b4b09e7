"""The page of a picture model: uploads, answers, and overlays on pictures."""
