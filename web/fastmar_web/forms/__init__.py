"""Pages of models with a form made from the schema: fields, values, random examples, what-if curves."""
