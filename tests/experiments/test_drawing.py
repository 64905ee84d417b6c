"""Charts of the report: nothing is cut."""

import re

from windsock.experiments.reporting.drawing import PlottedInterval, cumulative, intervals


def test_a_long_label_takes_more_lines_and_height() -> None:
    long = "revenue of all units that a team has named at length, cheaper_model_with_a_long_name_that_goes_on"
    short = PlottedInterval("cost", -0.1, 0.0, 0.1, "open", "0 %")
    drawn = intervals([PlottedInterval(long, -0.1, 0.0, 0.1, "open", "0 %"), short], "Goals")
    lines = re.findall(r'class="label" x="8" y="(\d+)">([^<]*)<', drawn)
    assert " ".join(text for _, text in sorted(lines, key=lambda line: int(line[0]))) == f"{long} cost"
    assert all(len(text) <= 50 for _, text in lines)
    height = int(re.search(r'viewBox="0 0 360 (\d+)"', drawn)[1])
    assert height > int(re.search(r'viewBox="0 0 360 (\d+)"', intervals([short, short], "Goals"))[1])
    ys = [int(y) for y in re.findall(r'class="value" x="352" y="(\d+)"', drawn)]
    assert max(ys) < height


def test_the_key_is_drawn_above_the_lines() -> None:
    days = [("2026-03-01", 5), ("2026-03-02", 7)]
    drawn = cumulative({"control": days, "cheaper": days}, "Units")
    assert drawn.rindex("<polyline") < drawn.index("tick key")
