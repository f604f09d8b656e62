"""Every notebook of the report takes the parameters that the report gives it."""

from vaelib.publishing import notebooks, reproduce
from vaelib.support import paths

PARAMETERS = ("data", "preset", "name", "out", "seed", "budget", "side_budget")


def test_every_notebook_takes_the_parameters_of_the_report_in_one_cell() -> None:
    parameters: notebooks.Parameters = dict.fromkeys(PARAMETERS, "")
    for name in reproduce.NOTEBOOKS:
        notebook = paths.NOTEBOOKS / f"{name}.ipynb"
        notebooks.check_parameters(notebook, parameters)
        cells = notebooks.original_cells(notebook)
        tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
        assert len(tagged) == 1, name
