"""COIL, a file a view."""

from pathlib import Path

import pytest
from named.made_sets import write_picture

from novelette.data.formats import read_coil
from novelette.errors import InputError


@pytest.mark.parametrize(("suffix", "step"), [("png", 1), ("ppm", 5)])
def test_coil_views_are_read_in_order_of_object_and_angle(tmp_path: Path, suffix: str, step: int) -> None:
    for obj in range(1, 13):
        for k in range(72):
            write_picture(tmp_path / f"obj{obj}__{k * step}.{suffix}", (4, 5), (obj, k, 0), "RGB")
    arrays = read_coil(tmp_path, 12)
    assert arrays.pixels.shape == (864, 5, 4, 3)
    assert arrays.is_train.all()
    assert arrays.labels.tolist() == [k // 72 for k in range(864)]
    assert arrays.pixels[:, 0, 0, 0].tolist() == [k // 72 + 1 for k in range(864)]
    assert arrays.pixels[:, 0, 0, 1].tolist() == [k % 72 for k in range(864)]
    (tmp_path / f"obj2__{3 * step}.{suffix}").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"obj2__.* cannot be read as a picture"):
        read_coil(tmp_path, 12)
    (tmp_path / f"obj2__{3 * step}.{suffix}").unlink()
    with pytest.raises(InputError, match="71 views of obj2"):
        read_coil(tmp_path, 12)
    write_picture(tmp_path / f"obj2__{3 * step}.{suffix}", (9, 9), (0, 0, 0), "RGB")
    with pytest.raises(InputError, match="has the shape"):
        read_coil(tmp_path, 12)
