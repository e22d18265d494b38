"""Uploaded archives and downloaded models: each takes the disk once, however often it is asked."""

import zipfile
from pathlib import Path

import pytest

from trainer.config import config_for
from trainer.errors import BusyError, DatasetError
from trainer.jobs import Job
from trainer.runner import Runner
from trainer.runner.folder import create_run
from ui.context import Context
from ui.download import archive
from ui.visit import Visit


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "temp"))
    return Context(runner=Runner(tmp_path / "runs"))


def upload(tmp_path: Path, name: str = "my photos.zip") -> Path:
    path = tmp_path / "temp" / "0a1b2c" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PK" * 500_000)
    return path


def test_an_upload_that_is_asked_for_often_takes_the_disk_once(
    context: Context, tmp_path: Path
) -> None:
    source = upload(tmp_path)
    kept = []
    for _ in range(20):
        with context.kept_upload(str(source)) as path:
            kept.append(Path(path))
    assert len(set(kept)) == 20
    assert {path.stat().st_ino for path in kept} == {source.stat().st_ino}
    source.unlink()  # as the sweeper does
    assert all(path.read_bytes()[:2] == b"PK" for path in kept)


def test_nothing_stays_of_an_upload_whose_check_did_not_begin(
    context: Context, tmp_path: Path
) -> None:
    source = upload(tmp_path)
    with pytest.raises(BusyError), context.kept_upload(str(source)):
        raise BusyError("Three others wait.")
    assert list(context.runner.uploads.iterdir()) == []
    assert source.is_file()


@pytest.mark.parametrize("hostile", ["../x.zip", "/etc/passwd", "", None, 3, "temp", "."])
def test_only_an_upload_is_kept(context: Context, tmp_path: Path, hostile: object) -> None:
    upload(tmp_path)
    with pytest.raises(DatasetError, match="zip file"), context.kept_upload(hostile):  # pyright: ignore[reportArgumentType]
        pass


def test_a_link_out_of_the_uploads_is_not_kept(context: Context, tmp_path: Path) -> None:
    (tmp_path / "secret.zip").write_bytes(b"secret")
    link = upload(tmp_path).with_name("link.zip")
    link.symlink_to(tmp_path / "secret.zip")
    with pytest.raises(DatasetError), context.kept_upload(str(link)):
        pass


def test_a_name_becomes_harmless_and_ends_in_zip(context: Context, tmp_path: Path) -> None:
    source = upload(tmp_path, f"{'ä' * 80} <b>.ZIP")
    with context.kept_upload(str(source)) as path:
        assert Path(path).suffix == ".zip"
        assert Path(path).name.isascii()
        assert len(Path(path).name) <= 64


def test_a_model_that_is_downloaded_often_is_zipped_once_for_each_state_of_it(
    context: Context, tmp_path: Path
) -> None:
    run = create_run(context.runner.root, Job(kind="train", config=config_for()), owner="ada")
    model = Path(run.folder) / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / ".making-7-model.onnx").write_bytes(b"half")
    visit = Visit(visitor="ada").showing("train", run.run_id)
    zips = {archive(context, visit) for _ in range(5)}
    assert len(zips) == 1
    (model / "model.onnx").write_bytes(b"made later")
    later = archive(context, visit)
    assert later not in zips
    assert set(zipfile.ZipFile(later).namelist()) == {"config.json", "model.onnx"}
    Path(later).unlink()
    assert Path(archive(context, visit)).is_file()
    assert len(list((tmp_path / "temp").rglob("*.zip"))) == 2
