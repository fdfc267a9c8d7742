"""What commands print: texts of items come out as they are."""

from __future__ import annotations

import pytest

from genrec.cli.output import table


def test_no_text_in_a_table_is_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["Kettle [steel], 2 l", "Cup [/b]", "Tea :cup: and [link=x]"]
    table("Items [all]", ["title [new]"], [[text] for text in texts])
    printed = capsys.readouterr().out
    for text in ("Items [all]", "title [new]", *texts):
        assert text in printed
