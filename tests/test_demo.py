"""`make demo`: the folder that it works in."""

from pictures import everything_in

from novelette import demo


def test_a_demo_replaces_the_demo_before_it_and_no_other_folder_of_its_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "main", lambda argv: 0)
    assert demo.demo() == 0
    (tmp_path / "demo" / "teacher.det").mkdir()
    assert demo.demo() == 0
    assert set(everything_in(tmp_path)) == {"demo", f"{demo.MARK}"}
    demo.MARK.rename(tmp_path / "demo" / "thesis.txt")
    before = everything_in(tmp_path)
    capsys.readouterr()
    assert demo.demo() == 2
    assert everything_in(tmp_path) == before
    out, err = capsys.readouterr()
    assert out == ""
    assert "which no earlier demo made" in err
    assert err.count("\n") == 1
