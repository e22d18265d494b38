"""What the Hub is told of a licence: its own name for it, or `other` with the name that it has.

https://huggingface.co/docs/hub/repositories-licenses
"""

import re

_NAMES = """
afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m
bigscience-bloom-rail-1.0 bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear
bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0
cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0
creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 grok2-community h-research
intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3
llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openmdw-1.0 openrail openrail++
osl-3.0 pddl postgresql unlicense wtfpl zlib
"""
HUB_LICENCES = frozenset(_NAMES.split())
"""Those that the Hub has a name for."""

_MAX_NAME = 60


def model_licence(*, pretrained: bool | None, base_model: str, base_licence: str) -> dict[str, str]:
    """The lines of front matter on a model's licence: that of the weights it began from, `unknown`
    where nobody says which these were or what it is.

    Nothing for a model from random weights: whoever trained it chooses.
    """
    if pretrained is False:
        return {}
    link = f"https://huggingface.co/{base_model}" if base_model else ""
    return hub_licence(base_licence if pretrained else "", link)


def hub_licence(stated: str, link: str = "") -> dict[str, str]:
    """The lines of front matter on a licence, as its source states it in any words.

    Args:
        stated: empty where it does not.
        link: where to read it, for one that the Hub has no name for.
    """
    name = re.sub(r"[^a-z0-9.+]+", "-", stated.lower()).strip("-")[:_MAX_NAME]
    if not stated or name == "unknown":
        return {"license": "unknown"}
    if name in HUB_LICENCES:
        return {"license": name}
    named = name if name and name != "other" else "as-its-source-states"
    return {"license": "other", "license_name": named} | ({"license_link": link} if link else {})
