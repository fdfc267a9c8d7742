"""RecBole's atomic files as they are found in the wild."""

from __future__ import annotations

from pathlib import Path

from genrec.data import InteractionLog, ItemTable


def test_movielens_style_items(tmp_path: Path) -> None:
    (tmp_path / "ml.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tweights:float_seq\tscore:float\n"
        "1\tToy Story\t1995\tAnimation Children's Comedy\t0.5 1\t4\n"
        '2\t"Golden"  Eye\t01995\tAction\t\t\n',
        encoding="utf-8",
    )
    items = ItemTable.read(tmp_path / "ml.item", columns={"title": "movie_title", "categories": "class"})
    assert items.row("1") == {
        "item_id": "1",
        "title": "Toy Story",
        "release_year": "1995",
        "categories": ["Animation", "Children's", "Comedy"],
        "weights": [0.5, 1.0],
        "score": 4.0,
    }
    assert items.title("2") == '"Golden"  Eye'
    assert items.row("2")["weights"] == []
    assert items.row("2")["score"] is None
    assert items.row("2")["release_year"] == "01995"


def test_lists_with_commas_and_a_plain_categories_column(tmp_path: Path) -> None:
    path = tmp_path / "anime.item"
    path.write_text(
        "item_id:token\ttitle:token\tcategories:token_seq\na\tA\tDrama, School Life\nb\tB\tSci-Fi\n"
    )
    items = ItemTable.read(path)
    assert items.table.column("categories").to_pylist() == [["Drama", "School Life"], ["Sci-Fi"]]
    path.write_text("item_id:token\ttitle:token\tcategories:token\na\tA\tSchool Life|Drama\n")
    assert ItemTable.read(path).row("a")["categories"] == ["School Life", "Drama"]


def test_interactions(tmp_path: Path) -> None:
    (tmp_path / "ml.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\tprice:float\n"
        "196\t242\t3\t881250949.0\t1\n196\t007\t5\t881250900\t2.5\n"
    )
    log = InteractionLog.read(tmp_path / "ml.inter")
    assert log.history("196") == ["007", "242"]
    assert log.time_kind == "absolute"
    assert log.table.to_pydict() == {
        "user_id": ["196", "196"],
        "item_id": ["007", "242"],
        "rating": [5.0, 3.0],
        "timestamp": [881250900, 881250949],
        "price": [2.5, 1.0],
    }
