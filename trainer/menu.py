"""The short menu of models, with what a person wants to know before choosing one.

Figures: timm 1.0.31's `results-imagenet.csv` (ImageNet-1k top-1 at the size given), licences from
timm's own configurations. Every other timm CNN can be chosen by name.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MenuModel:
    model_name: str
    title: str
    num_parameters: int
    image_size: int
    top1: float
    """ImageNet top-1 accuracy, 0–1."""
    licence: str
    why: str
    embedded: bool = False
    """Its weights come with the installation; no network needed."""


MENU: tuple[MenuModel, ...] = (
    MenuModel(
        "tf_efficientnet_lite0",
        "EfficientNet-Lite0",
        4_652_008,
        224,
        0.748,
        "apache-2.0",
        "small and good; works without a network",
        embedded=True,
    ),
    MenuModel(
        "mobilenetv4_conv_small.e2400_r224_in1k",
        "MobileNetV4 small",
        3_774_024,
        224,
        0.738,
        "apache-2.0",
        "the fastest on a small machine",
    ),
    MenuModel(
        "resnet18.a1_in1k",
        "ResNet-18",
        11_689_512,
        224,
        0.715,
        "apache-2.0",
        "the classic, easy to look inside",
    ),
    MenuModel(
        "resnet34.a1_in1k",
        "ResNet-34",
        21_797_672,
        224,
        0.764,
        "apache-2.0",
        "the model of the first fast.ai lesson",
    ),
    MenuModel(
        "convnext_nano.in12k_ft_in1k",
        "ConvNeXt nano",
        15_593_800,
        224,
        0.823,
        "apache-2.0",
        "the most accurate here; best with a GPU",
    ),
)


def menu_model(model_name: str) -> MenuModel | None:
    """The menu's entry for a model, if it has one."""
    return next((model for model in MENU if model.model_name == model_name), None)
