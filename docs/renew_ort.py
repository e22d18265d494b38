"""Renew the demo page's copy of ONNX Runtime Web: `python docs/renew_ort.py [VERSION]`.

It needs npm, whose registry it asks for the package. Without a version the one that is there is
fetched again, which must change nothing. Run tests/test_demo.py afterwards.
"""

import gzip
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "trainer" / "publish" / "page" / "ort"
PACKAGE = "onnxruntime-web"
SCRIPT, WASM = "ort.wasm.bundle.min", "ort-wasm-simd-threaded.wasm"


def main() -> None:
    """Fetch, pack and list the files."""
    listed = FOLDER / "vendored.json"
    version = sys.argv[1] if len(sys.argv) > 1 else json.loads(listed.read_text())["version"]
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise SystemExit(f"{version!r} is not a version such as 1.30.0")
    with tempfile.TemporaryDirectory() as folder:
        script, wasm = fetch(version, Path(folder))
    # Named .js: a host that does not know .mjs would send it as a type that browsers refuse.
    (FOLDER / f"{SCRIPT}.js").write_bytes(script)
    (FOLDER / f"{WASM}.gz").write_bytes(gzip.compress(wasm, 9, mtime=0))
    names = (f"{SCRIPT}.js", f"{WASM}.gz", "LICENSE")
    about = {
        "package": PACKAGE,
        "version": version,
        "license": "MIT",
        "sha256": {name: digest((FOLDER / name).read_bytes()) for name in names},
        "unpacked_sha256": {WASM: digest(wasm)},
    }
    listed.write_text(json.dumps(about, indent=2) + "\n")
    print(listed.read_text(), end="")


def fetch(version: str, folder: Path) -> tuple[bytes, bytes]:
    """The script with the loader inside, and the WebAssembly, of one release."""
    command = ["npm", "pack", f"{PACKAGE}@{version}", "--silent"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        return read(package, f"{SCRIPT}.mjs"), read(package, WASM)


def read(package: tarfile.TarFile, name: str) -> bytes:
    """One file of the package's `dist` folder."""
    member = package.extractfile(f"package/dist/{name}")
    if member is None:
        raise SystemExit(f"the package holds no dist/{name}: the release is laid out differently")
    return member.read()


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
