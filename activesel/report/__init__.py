"""The self-contained offline HTML report of a batch; `activesel.report.render.write_report` is the way in."""
