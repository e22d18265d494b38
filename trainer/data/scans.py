"""How many passes a JPEG asks for: a progressive one of 20 MB can ask for half a million.

Each pass touches every block of the picture, so the time grows with passes times pixels, which
neither a limit on bytes nor one on pixels holds down.
"""

import re
import struct

_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0-7, SOI stand alone

# Within packed pixels FF is followed by 00 or a restart marker; anything else ends them.
_NEXT_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


def num_scans(data: bytes) -> int:
    """Count the scans of a JPEG's first picture, without decoding; 0 for other formats.

    The segments are walked rather than searched, because what follows the picture (a second one,
    or the film of a motion photo) may hold the same bytes by chance.
    """
    if not data.startswith(b"\xff\xd8"):
        return 0
    scans = 0
    position = 2
    while found := _NEXT_MARKER.search(data, position):
        marker = found[1][0]
        position = found.end()
        if marker == _END_OF_IMAGE:
            break
        if marker in _NO_LENGTH:
            continue
        scans += marker == _START_OF_SCAN
        if position + 2 <= len(data):
            position += struct.unpack_from(">H", data, position)[0]
    return scans
