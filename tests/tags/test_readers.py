"""Tagged pictures from a table, in Flickr8k's layout and from YFCC100M's lines; what a broken line says."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from novelette.errors import InputError
from novelette.tags.readers import read
from novelette.tags.vocabulary import choose, incidence
from novelette.tags.words import bags, base_forms, content_words, known_words, lemmatized


def pictures(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name)
    return folder


def table(tmp_path: Path, text: str) -> Path:
    pictures(tmp_path / "set", "a.png", "b.png")
    (tmp_path / "set" / "tags.csv").write_text(text, encoding="utf-8")
    return tmp_path / "set"


def yfcc_line(photo: str, *, title="Two+dogs", description="", tags="dog,New+York,dog", video="0", fields=23) -> str:
    front = [photo] if fields == 23 else ["7", photo, "abc123"]
    return "\t".join([*front, "u", "n", "t", "t", "camera", title, description, tags, *["x"] * 13, video])


def test_a_table_of_tags_and_texts(tmp_path):
    folder = table(tmp_path, 'file,tags,text\na.png,Dog; new york ;dog,"A dog, running"\n\nb.png,cat,\n')
    for source in (folder, folder / "tags.csv"):
        found = read(str(source))
        assert found.source.names == ("a.png", "b.png")
        assert found.tags == (("dog", "new york"), ("cat",))
        assert found.texts == ("A dog, running", "")
        assert found.source.read(1).shape == (8, 8, 3)


def test_a_table_may_have_no_texts_and_a_mark_of_its_encoding(tmp_path):
    found = read(str(table(tmp_path, "\ufefffile,tags\na.png,dog\n")))
    assert (found.tags, found.texts) == ((("dog",),), ("",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,tags,text\na.png,dog,x\nb.png,cat\n", "line 3: 2 fields where the header has 3"),
        ("file,tags\na.png,dog\nb.png, ; \n", "line 3: b.png has no tags"),
        ("file,tags\na.png,dog\na.png,cat\n", "line 3: a.png is listed twice"),
        ("file,tags\nc.png,dog\n", "line 2: there is no picture"),
        ("name,labels\na.png,dog\n", "line 1: the columns must be file, tags, text"),
        ("", r"\(the last is optional\), not nothing"),
        ('file,tags\na.png,"dog\n', "line 2: the line is not CSV"),
        ("file,tags\n", "names no picture"),
    ],
)
def test_a_broken_table_is_told_with_its_line(tmp_path, text, says):
    with pytest.raises(InputError, match=says):
        read(str(table(tmp_path, text)))


def test_a_table_that_is_not_utf8_is_told_with_its_line(tmp_path):
    folder = table(tmp_path, "")
    (folder / "tags.csv").write_bytes(b"file,tags\na.png,caf\xe9\n")
    with pytest.raises(InputError, match="line 2: the line is not UTF-8"):
        read(str(folder))


def test_what_has_no_tags_is_told(tmp_path):
    for source, says in ((tmp_path / "no", "does not exist"), (pictures(tmp_path / "bare", "a.png"), "has no tags")):
        with pytest.raises(InputError, match=says):
            read(str(source))


CAPTIONS = """a.jpg#0	Two dogs are running .
a.jpg#1	A brown dog runs .
a.jpg#2	Dogs
a.jpg#3	Animals on the grass
a.jpg#4	A meadow
gone.jpg#0	A cat .
b.jpg#0	The
"""


def captioned(tmp_path: Path, text: str = CAPTIONS) -> Path:
    pictures(tmp_path / "flickr8k_1000" / "images", "a.jpg", "b.jpg")
    (tmp_path / "flickr8k_1000" / "Flickr8k.token.txt").write_text(text)
    return tmp_path / "flickr8k_1000"


def test_tags_and_text_of_a_captioned_photograph_are_never_of_the_same_caption(tmp_path):
    folder = captioned(tmp_path)
    for found in (read(str(folder)), read("flickr8k-1000", [tmp_path])):
        assert found.source.names == ("a.jpg",)  # of gone.jpg there is no photograph, b.jpg's caption has no word for a tag
        assert found.tags == (("dog", "run"),)
        assert found.texts == ("Animals on the grass A meadow",)
        assert found.untagged == 1


@pytest.mark.parametrize("line", ["a.jpg 0 no tab", "a.jpg\tno number", "a.jpg#x\tno number", "#0\tno file"])
def test_a_broken_line_of_captions_is_named(tmp_path, line):
    with pytest.raises(InputError, match="line 8: the line is not FILE#NUMBER"):
        read(str(captioned(tmp_path, CAPTIONS + line + "\n")))


def test_captioned_photographs_that_are_nowhere_are_told(tmp_path, monkeypatch):
    monkeypatch.delenv("NOVELETTE_DATA")
    with pytest.raises(InputError, match=r"flickr8k-1000 was not found .*--data-root"):
        read("flickr8k-1000", [tmp_path])
    captioned(tmp_path)
    (tmp_path / "flickr8k_1000" / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no folder of photographs"):
        read("flickr8k-1000", [tmp_path])


@pytest.mark.parametrize("fields", [23, 25])
def test_lines_of_yfcc100m(tmp_path, fields):
    pictures(tmp_path / "pictures", "11.jpg", "12_secret_o.png")
    lines = [yfcc_line("11", fields=fields, description="in+a+caf%C3%A9"), yfcc_line("12", tags="", fields=fields)]
    lines += [yfcc_line("13", fields=fields), yfcc_line("11", video="1", fields=fields)]  # no picture; a video
    (tmp_path / "photos.tsv").write_text("\n".join(lines) + "\n")
    found = read(str(tmp_path / "photos.tsv"))
    assert found.source.names == ("pictures/11.jpg",)
    assert found.tags == (("dog", "new york"),)
    assert found.texts == ("Two dogs in a café",)
    assert found.untagged == 1


def test_a_semicolon_parts_tags_of_yfcc100m_as_it_does_in_a_table(tmp_path):
    pictures(tmp_path, "11.jpg")
    (tmp_path / "photos.tsv").write_text(yfcc_line("11", tags="a%3Bb,c"))
    assert read(str(tmp_path / "photos.tsv")).tags == (("a", "b", "c"),)


def test_a_photograph_of_yfcc100m_may_be_named_by_its_hash(tmp_path):
    pictures(tmp_path, "abc123.jpg")
    (tmp_path / "photos.tsv").write_text(yfcc_line("11", fields=25))
    assert read(str(tmp_path / "photos.tsv")).source.names == ("abc123.jpg",)


def test_a_broken_line_of_yfcc100m_is_named(tmp_path):
    pictures(tmp_path, "11.jpg")
    (tmp_path / "photos.tsv").write_text(yfcc_line("11") + "\nhalf\ta line\n")
    with pytest.raises(InputError, match="line 2: 2 fields"):
        read(str(tmp_path / "photos.tsv"))


def test_inflected_words_fall_together_with_words_that_are_there():
    base = base_forms(
        ["dog", "dogs", "runs", "run", "running", "puppies", "puppy", "bus", "grass", "riding", "ride", "swing", "leaps", "leaping"]
    )
    assert {word: base[word] for word in ("dogs", "runs", "running", "puppies", "riding")} == {
        "dogs": "dog", "runs": "run", "running": "run", "puppies": "puppy", "riding": "ride"}  # fmt: skip
    assert all(base[word] == word for word in ("bus", "grass", "swing"))
    assert base["leaps"] == base["leaping"] == "leap"
    assert lemmatized(["Children running", "a child"]) == [["child", "running"], ["child"]]  # no text has run


def test_numbers_and_words_of_the_list_are_no_tags():
    assert content_words("The 3 brown dogs of A-42 are over there, t-shirt") == ["dogs", "shirt"]


def test_bags_of_words_by_hand():
    texts = ["dog dog cat", "cat bird", "nothing known"]
    assert known_words([*texts, "dog"]) == ("cat", "dog")  # both in two texts
    assert known_words(["the red dog", "the red cat"]) == ("red",)  # no tag, but for a teacher to read
    assert bags(texts, ("cat", "dog")).tolist() == [pytest.approx([1 / 5**0.5, 2 / 5**0.5]), [1, 0], [0, 0]]


TAGS = [("a", "b"), ("a", "c"), ("a", "b"), ("b", "a", "d")] + [("a", "c")] * 4


def test_popular_tags_are_the_most_frequent_and_equals_follow_the_alphabet():
    assert choose(TAGS, "popular", 3, 0) == ("a", "c", "b")
    assert choose([("b",), ("a",)], "popular", 9, 0) == ("a", "b")


def test_random_tags_are_drawn_from_those_of_five_pictures_by_the_seed():
    tags = [tuple(f"t{k}" for k in range(40) if (i + k) % 2) for i in range(12)] + [("rare",)]
    one, again, other = (choose(tags, "random", 10, seed) for seed in (0, 0, 1))
    assert one == again != other
    assert len(set(one)) == 10
    assert "rare" not in choose(tags, "random", 99, 0)
    with pytest.raises(InputError, match="0 different tags of 5 pictures each"):
        choose(tags[:4], "random", 10, 0)
    with pytest.raises(InputError, match="1 different tags"):
        choose([("a",)], "popular", 10, 0)


def test_incidence_by_hand():
    assert np.array_equal(incidence([("b", "x"), ()], ("a", "b")), [[False, True], [False, False]])
