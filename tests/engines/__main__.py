"""Write the table of capabilities into docs/engines.md."""

from tests.engines import PAGE, with_table

PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
