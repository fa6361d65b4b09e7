"""The page of a model that takes pictures: uploads, answers, and what is drawn over a picture."""
