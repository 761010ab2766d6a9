"""From what a person names to pictures and labels, and back to the same pictures."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from named.made_sets import write_celeba
from pictures import stripes, write, write_labelled
from PIL import Image

from novelette.data import select
from novelette.data.named import load_named
from novelette.data.protocol import PARTING, PROTOCOLS
from novelette.data.select import (
    Where,
    as_the_fit,
    describe,
    found_again,
    labelled_pictures,
    normal_pictures,
    pictures_by_class,
    pictures_of_the_fit,
)
from novelette.errors import InputError


def test_folder_and_array_are_normal_as_a_whole(tmp_path):
    assert len(normal_pictures(write(tmp_path / "parts", stripes(3)), Where()).source) == 3
    assert len(normal_pictures(stripes(4), Where()).source) == 4


def test_named_set_gives_the_training_pictures_of_its_normal_class_and_tests_on_all_others():
    training, test = normal_pictures("digits", Where(normal="3")), labelled_pictures("digits", Where(normal="3"))
    assert not set(training.source.names) & set(test.source.names)
    assert set(np.unique(test.labels)) == {0, 1}
    assert len(test.labels) == len(test.source)
    assert "normal = 3" in training.title
    assert "standard" in training.title
    assert [test.class_names[k] != "3" for k in test.classes] == test.labels.tolist()


def test_leave_one_out_calls_the_class_novel():
    assert "novel = 3" in normal_pictures("digits", Where(normal="3", protocol="leave-one-out")).title
    one, others = (labelled_pictures("digits", Where(normal="3", protocol=p)).labels for p in ("leave-one-out", "standard"))
    assert (one == 1).mean() < 0.5 < (others == 1).mean()


@pytest.mark.parametrize("normal", ["normal", "good", "Normal", "GOOD"])
def test_labelled_folders_are_novel_unless_named_normal_or_good(normal, tmp_path):
    write(tmp_path / normal, stripes(2))
    write(tmp_path / "crack" / "long", stripes(1))
    write(tmp_path / "hole", stripes(1))
    chosen = labelled_pictures(str(tmp_path), Where())
    labels = dict(zip(chosen.source.names, chosen.labels.tolist(), strict=True))
    assert [chosen.class_names[k] for k in chosen.classes] == [name.split("/")[0] for name in chosen.source.names]
    assert labels == {f"{normal}/00.png": 0, f"{normal}/01.png": 0, "crack/long/00.png": 1, "hole/00.png": 1}


@pytest.mark.parametrize("folders", [["novel"], ["normal"], ["normal", "good"], []])
def test_labelled_folder_needs_both_kinds(folders, tmp_path):
    for name in folders:
        write(tmp_path / name, stripes(2))
    with pytest.raises(InputError, match="normal/" if folders else "holds no pictures"):
        labelled_pictures(str(tmp_path), Where())


def grouped_digits(name, **kwargs):
    digits = load_named("digits")
    return replace(digits, groups=np.arange(len(digits.labels)) // 2)


def test_protocols_that_draw_from_a_pooled_class_are_refused_where_they_would_part_groups(monkeypatch):
    monkeypatch.setattr(select, "load_named", grouped_digits)
    for protocol in PARTING:
        for choose in (normal_pictures, labelled_pictures):
            with pytest.raises(
                InputError,
                match=f"--protocol {protocol} would put pictures of the same thing into both training and test in digits: use standard",
            ):
                choose("digits", Where(normal="3", protocol=protocol))
    assert set(PARTING) < set(PROTOCOLS)
    for protocol in set(PROTOCOLS) - set(PARTING):
        assert len(normal_pictures("digits", Where(normal="3", protocol=protocol)).groups)


@pytest.mark.parametrize(("normal", "other"), [("normal", "novel"), ("Good", "crack"), ("NORMAL", "x")])
def test_labelled_folders_are_not_taken_for_normal_pictures(normal, other, tmp_path):
    write(tmp_path / normal, stripes(2))
    write(tmp_path / other, stripes(1))
    with pytest.raises(InputError, match=f"holds {normal}/ beside other folders: name the normal pictures alone, .*/{normal}$"):
        normal_pictures(tmp_path, Where())
    assert len(normal_pictures(tmp_path / normal, Where()).source) == 2


def test_normal_folders_alone_or_files_by_name_are_fitted_on_as_they_are(tmp_path, monkeypatch):
    for name in ("normal", "good"):
        write(tmp_path / name, stripes(2))
    assert len(normal_pictures(tmp_path, Where()).source) == 4
    write(tmp_path / "novel", stripes(1))
    monkeypatch.chdir(tmp_path)
    assert len(normal_pictures(["normal/00.png", "novel/00.png"], Where()).source) == 2  # who names a file means it


@pytest.mark.parametrize(
    ("where", "option"),
    [
        (Where(normal="3"), "--normal 3"),
        (Where(protocol="gpnd"), "--protocol gpnd"),
        (Where(protocol_seed=4), "--protocol-seed 4"),
        (Where(attribute="Bald"), "--attribute Bald"),
    ],
)
@pytest.mark.parametrize("choose", [normal_pictures, labelled_pictures, pictures_by_class])
def test_what_a_folder_has_no_choice_of_is_refused(choose, where, option, tmp_path):
    folder = write_labelled(tmp_path, 2)
    with pytest.raises(InputError, match=f"{option} is for the named sets .*, and .* is not one"):
        choose(str(folder / "normal" if choose is normal_pictures else folder), where)


@pytest.mark.parametrize("choose", [normal_pictures, labelled_pictures, pictures_by_class])
def test_groups_of_a_named_set_are_its_own_or_those_that_are_asked_for(choose, monkeypatch):
    where = Where(normal=None if choose is pictures_by_class else "3", group_by="(...).")  # tens of pictures
    chosen = choose("digits", where)
    tens = [name[:3] for name in chosen.source.names]
    assert [tens[i] == tens[i - 1] for i in range(1, len(tens))] == (np.diff(chosen.groups) == 0).tolist()
    monkeypatch.setattr(select, "load_named", grouped_digits)
    with pytest.raises(InputError, match=r"--group-by .* does nothing for digits, which has groups of its own: leave it out"):
        choose("digits", where)
    for inherited in (replace(where, group_by_inherited=True), replace(where, group_by=None)):
        own = choose("digits", inherited)
        assert own.groups.tolist() == [int(name) // 2 for name in own.source.names]


def test_what_a_fit_was_told_beside_a_folder_in_vain_finds_the_folder_all_the_same(tmp_path):
    described = describe(write(tmp_path / "parts", stripes(3)), Where(protocol="gpnd", protocol_seed=4))  # as older detectors have it
    assert len(pictures_of_the_fit(described, len)[0].source) == 3


def test_a_home_is_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "parts", stripes(3))
    assert describe("~/parts", Where())["source"] == str(tmp_path / "parts")


def test_labelled_folders_below_a_home_are_found(tmp_path, monkeypatch):
    write_labelled(tmp_path / "labelled", 2)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(labelled_pictures("~/labelled", Where()).source) == 4
    assert pictures_by_class("~/labelled", Where()).names == ("normal", "novel")


def test_files_that_are_taken_for_masks_are_named_where_too_few_folders_are_left(tmp_path):
    for name in ("good", "mask"):
        write(tmp_path / name, stripes(2))
    says = r"needs a folder normal/ and at least one other.*\(taken for masks and left out: mask/00.png, mask/01.png; if they are pictures"
    with pytest.raises(InputError, match=says):
        labelled_pictures(tmp_path, Where())


def test_named_set_needs_a_class_and_a_protocol_that_exist():
    with pytest.raises(InputError, match="--normal, one of 0, 1"):
        normal_pictures("digits", Where())
    with pytest.raises(InputError, match="no class 11"):
        normal_pictures("digits", Where(normal="11"))
    with pytest.raises(InputError, match="--protocol mine"):
        labelled_pictures("digits", Where(normal="3", protocol="mine"))


def test_group_by_numbers_pictures_by_the_text_it_finds(tmp_path):
    folder = write(tmp_path / "parts", stripes(5))
    for old, name in zip(sorted(folder.iterdir()), ("p1-a.png", "p1-b.png", "p2-a.png", "x.png", "y.png"), strict=True):
        old.rename(folder / name)
    for pattern in ("p[0-9]", "(p[0-9])-."):
        a, b, c, x, y = normal_pictures(folder, Where(group_by=pattern)).groups
        assert a == b
        assert len({a, c, x, y}) == 4  # what the pattern does not find stands alone
    assert normal_pictures(folder, Where()).groups is None


@pytest.mark.parametrize("pattern", ["([0-9])?", "[0-9]*"])
def test_no_text_is_nothing_found(pattern, tmp_path):
    folder = write(tmp_path / "parts", stripes(4))
    for old, name in zip(sorted(folder.iterdir()), ("1-a.png", "1-b.png", "x.png", "y.png"), strict=True):
        old.rename(folder / name)
    one, same, x, y = normal_pictures(folder, Where(group_by=pattern)).groups
    assert one == same
    assert len({one, x, y}) == 3


def test_described_source_is_found_again(tmp_path, monkeypatch):
    folder = write(tmp_path / "parts", stripes(3))
    monkeypatch.chdir(tmp_path)
    for source, where in (("parts", Where()), ("digits", Where(normal="3", protocol="gpnd", protocol_seed=4)), (folder, Where())):
        described = describe(source, where)
        monkeypatch.chdir(tmp_path)
        first = normal_pictures(source, where).source
        monkeypatch.chdir("/")
        again, same = found_again(described, ())
        assert same == where
        assert normal_pictures(again, same).source.names == first.names
    assert describe(stripes(2), Where()) is None


def test_the_folder_that_a_named_set_was_found_in_is_found_again(tmp_path, monkeypatch):
    """The pictures of a fit with --data-root, by commands that have no such option."""
    monkeypatch.setenv("NOVELETTE_DATA", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_celeba(tmp_path / "roots" / "celeba")
    monkeypatch.chdir(tmp_path)
    where = Where(normal="absent", attribute="Bald", data_roots=(Path("roots"),))
    described = json.loads(json.dumps(describe("celeba", where)))
    monkeypatch.chdir("/")
    assert len(pictures_of_the_fit(described, len)[0].source) == 9  # 12 training faces, three of them bald
    assert pictures_of_the_fit(described | {"data_roots": []}, len) is None
    del described["data_roots"]  # as older detectors are
    assert pictures_of_the_fit(described, len, (tmp_path / "roots",)) is not None


def test_of_the_set_of_a_fit_its_class_and_protocol_stand_unless_others_are_given():
    was = Where(normal="3", protocol="gpnd", protocol_seed=4)
    described = describe("digits", was)
    assert as_the_fit("digits", Where(), described) == was
    for said in (Where(normal="3"), Where(protocol="ocgan-p1"), Where(protocol_seed=1)):
        assert as_the_fit("digits", said, described) == said
    for source, of in (("mnist", described), ("digits", None), ("parts", describe("parts", Where()))):
        assert as_the_fit(source, Where(), of) == Where()
    grouped = as_the_fit("digits", Where(), describe("digits", replace(was, group_by="d(.)")))
    assert (grouped.group_by, grouped.group_by_inherited) == ("d(.)", True)


def test_labelled_pictures_have_groups_too(tmp_path, monkeypatch):
    for kind in ("normal", "novel"):
        folder = write(tmp_path / kind, stripes(2))
        for i, path in enumerate(sorted(folder.iterdir())):
            path.rename(folder / f"{kind}-part1-{i}.png")
    groups = labelled_pictures(tmp_path, Where(group_by="(no.*)-[01]")).groups
    assert groups.tolist() == [0, 0, 1, 1]
    assert labelled_pictures(tmp_path, Where()).groups is None
    with pytest.raises(InputError, match="--group-by 'x' matches no name"):
        labelled_pictures(tmp_path, Where(group_by="x"))
    monkeypatch.setattr(select, "load_named", grouped_digits)
    digits = labelled_pictures("digits", Where(normal="3"))
    assert len(digits.groups) == len(digits.source)


def test_picture_beside_the_labelled_folders_is_not_given_a_label(tmp_path):
    write(tmp_path / "normal", stripes(2))
    write(tmp_path / "novel", stripes(2))
    write(tmp_path, stripes(1))
    with pytest.raises(InputError, match="label is not known"):
        labelled_pictures(tmp_path, Where())


def test_group_by_numbers_pictures_of_one_thing_alike(tmp_path):
    for name in ("a1_x", "a1_y", "a2_x", "other"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"{name}.png")
    groups = normal_pictures(tmp_path, Where(group_by=r"(a\d)_")).groups
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 3
    for wrong in ("(", "zzz"):
        with pytest.raises(InputError, match="--group-by"):
            normal_pictures(tmp_path, Where(group_by=wrong))
