"""What Pillow has to say of odd files reaches nobody, and is not gathered in a process that goes on for long."""

import sys
import warnings

from pictures import fitted, stripes, write
from PIL import Image, TiffImagePlugin

from novelette.cli import main


def test_warnings_of_pillow_reach_nobody_and_are_not_gathered(tmp_path, monkeypatch):
    det = fitted(tmp_path / "a.det", write(tmp_path / "parts", stripes(60)))
    odd = tmp_path / "odd"
    odd.mkdir()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[282] = (72.0, 72.0)  # one XResolution is what there should be
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        Image.fromarray(stripes(1)[0]).save(odd / "a.tif", tiffinfo=tags)
        Image.fromarray(stripes(1)[0]).save(odd / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01")
    registry = {}
    for module in [module for name, module in sys.modules.items() if name.startswith("PIL.")]:
        monkeypatch.setattr(module, "__warningregistry__", registry, raising=False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        assert main(["score", str(det), str(odd), "-o", str(tmp_path / "scores.csv")]) == 0
    assert not told
    assert set(registry) <= {"version"}
