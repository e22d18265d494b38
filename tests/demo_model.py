"""For the demo: a model folder of the real EfficientNet-Lite 0, and a server of a folder."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from timm.data.imagenet_info import ImageNetInfo
from timm.models import save_for_hf

from trainer.embedded import embedded_weights
from trainer.model import create

NAME = "tf_efficientnet_lite0"


def lite0_folder(folder: Path) -> Path:
    """Write the folder as `export_model` would, with the 1,000 classes of ImageNet."""
    model = create(NAME)
    model.load_state_dict(dict(embedded_weights(NAME)))
    info = ImageNetInfo()
    names = [info.index_to_description(i).split(",")[0] for i in range(1000)]
    save_for_hf(model, str(folder), model_config={"label_names": names}, safe_serialization=True)
    return folder


def set_preprocessing(folder: Path, **settings: object) -> None:
    """Change the preprocessing that a model folder names."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["pretrained_cfg"].update(settings)
    path.write_text(json.dumps(config))


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on loopback; gives its address, ending in a slash."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
