"""Which of timm's architectures are CNNs: a sample of every kind, judged without weights."""

import pytest

from trainer.architecture import check_cnn
from trainer.errors import ModelError

CNNS = (
    "convmixer_768_32", "convnext_atto", "convnextv2_atto", "cs3darknet_s",
    "densenet121", "dla34", "dpn48b", "eca_nfnet_l0", "efficientnet_b0", "efficientnet_cc_b0_4e",
    "fastvit_t8", "focalnet_tiny_srf", "gcresnet33ts", "ghostnet_050", "hgnetv2_b0",
    "hrnet_w18_small", "inception_next_atto", "inception_v3", "lcnet_035", "legacy_seresnet18",
    "lowformer_e1", "mambaout_femto", "mixnet_s", "mobilenetv1_100", "mobilenetv3_small_050",
    "mobilenetv4_conv_small", "mobileone_s0", "nf_regnet_b0", "poolformer_s12", "regnetx_002",
    "regnety_002", "repvgg_a0", "res2net50_14w_8s", "resnest14d", "resnet18", "resnetv2_18",
    "rexnet_100", "seresnet18", "skresnet18", "starnet_s1", "tf_efficientnet_lite0", "vgg11",
)  # fmt: skip
ATTEND = (
    "botnet26t_256", "caformer_s18", "coatnet_0_rw_224", "davit_tiny", "edgenext_xx_small",
    "efficientvit_b0", "efficientvit_m0", "fastvit_sa12", "gcvit_xxtiny", "halonet26t",
    "lambda_resnet26t", "maxvit_tiny_rw_224", "maxxvit_rmlp_nano_rw_256",
    "mobilenetv4_hybrid_medium", "mobilevit_xxs", "mobilevitv2_050", "nest_tiny", "nextvit_small",
    "pvt_v2_b0", "shvit_s1",
    "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "test_vit", "tiny_vit_5m_224",
    "vit_tiny_r_s16_p8_224", "visformer_tiny",
)  # fmt: skip


@pytest.mark.parametrize("model_name", CNNS)
def test_it_is_a_cnn(model_name: str) -> None:
    assert check_cnn(model_name) > 0


@pytest.mark.parametrize("model_name", ATTEND)
def test_it_attends_and_is_refused(model_name: str) -> None:
    with pytest.raises(ModelError, match="not a convolutional network: it attends to positions"):
        check_cnn(model_name)


@pytest.mark.parametrize(
    ("model_name", "how"),
    [
        ("mixer_s32_224", "turns the picture into tokens"),
        ("resmlp_12_224", "turns the picture into tokens"),
        ("sequencer2d_s", "recurrent layer"),
        ("efficientformer_l1", "does not end in one linear layer"),
        ("repvit_m1", "does not end in one linear layer"),
    ],
)
def test_what_neither_attends_nor_convolves_is_refused_with_the_reason(
    model_name: str, how: str
) -> None:
    with pytest.raises(ModelError, match=how):
        check_cnn(model_name)


def test_arguments_that_an_architecture_does_not_take_are_said() -> None:
    with pytest.raises(ModelError, match=r"resnet18 cannot be built with .*'colour': 3"):
        check_cnn("resnet18", {"colour": 3})


def test_arguments_count_for_the_limit_and_without_memory() -> None:
    assert check_cnn("test_resnet", {"num_classes": 10}) < check_cnn("test_resnet")
    with pytest.raises(
        ModelError, match=r"97,000,000 million parameters; the limit is 150 million"
    ):
        check_cnn("test_resnet", {"num_classes": 10**12})
