"""Models: the embedded weights, a new head, parameter groups, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from torch import nn

from photo_sets import SHARED
from tiny import collect, digest, never, tiny_config, tiny_learner
from trainer.config import config_for
from trainer.embedded import embedded_weights
from trainer.errors import HubError, ModelError
from trainer.events import PhaseStarted
from trainer.export import export_model, load_model
from trainer.fit import fit
from trainer.head import Head
from trainer.model import (
    body_features,
    build_model,
    classifier_of,
    create,
    head_of,
    make_optimizer,
    parameter_groups,
    set_mode,
)
from trainer.start import check_architecture
from trainer.transforms import preprocess_for, to_batch

CAT = SHARED / "sample_photos" / "chelsea_cat_CC0.jpg"
CATS = range(281, 286)
"""ImageNet's tabby, tiger cat, Persian, Siamese and Egyptian cat."""


def _cfg(model_name: str) -> dict[str, Any]:
    cfg = timm.get_pretrained_cfg(model_name)
    assert cfg is not None
    return cfg.to_dict()


@pytest.fixture(scope="module")
def lite0() -> nn.Module:
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    model.load_state_dict(dict(embedded_weights("tf_efficientnet_lite0")), strict=True)
    return model.eval()


def test_the_embedded_weights_fit_timms_model_exactly(lite0: nn.Module) -> None:
    weights = embedded_weights("tf_efficientnet_lite0")
    assert weights.keys() == lite0.state_dict().keys()
    for name, value in lite0.state_dict().items():
        assert weights[name].shape == value.shape
        assert bool(torch.isfinite(value).all())
    # Statistics of a trained BatchNorm, in the place of one: no other tensor is like these.
    variances = [v for name, v in weights.items() if name.endswith("running_var")]
    assert all(bool((v >= 0).all() and v.max() > 0.01) for v in variances)
    assert any(bool((v < 0).any()) for name, v in weights.items() if name.endswith("running_mean"))


@pytest.mark.skipif(not CAT.exists(), reason="the photos are not here")
def test_the_embedded_weights_know_a_cat(lite0: nn.Module) -> None:
    preprocess = preprocess_for(_cfg("tf_efficientnet_lite0"))
    with Image.open(CAT) as photo:
        view = preprocess.view(photo.convert("RGB"))
    with torch.inference_mode():
        probs = lite0(preprocess.normalize(to_batch(view[None]))).softmax(1)[0]
    assert int(probs.argmax()) in CATS
    assert float(probs[list(CATS)].sum()) > 0.7


def test_a_pretrained_model_brings_the_embedded_body_and_a_new_head(lite0: nn.Module) -> None:
    model = build_model(config_for(), 3)
    body = {n: v for n, v in model.state_dict().items() if not n.startswith("classifier")}
    assert body
    assert all(torch.equal(value, lite0.state_dict()[name]) for name, value in body.items())
    head = head_of(model)
    assert head.linear.weight.shape == (3, 1280)
    assert not head.linear.bias.any()
    assert head.linear.weight.std() > 0  # zeros would learn nothing in the first step of the body


def test_the_seed_alone_decides_the_new_weights() -> None:
    models = [build_model(tiny_config(seed=seed), 3) for seed in (1, 1, 2)]
    first, same, other = map(digest, models)
    assert first == same != other


@pytest.mark.parametrize(
    ("model_name", "reason"),
    [
        ("resnet1", "no model named 'resnet1'. Did you mean resnet"),
        ("resnet18.bogus", "no weights tagged 'bogus'"),
        ("hf-hub:../etc", "not a model's id on the Hub"),
        ("local-dir:/etc", "no model named"),
        ("", "model_name"),
        ("test_vit", "not a convolutional network: it attends"),
        ("deit_tiny_distilled_patch16_224", "does not end in one linear layer"),
        ("levit_128", "does not end in one linear layer"),
        ("convnext_xxlarge", "846 million parameters; the limit is 150 million"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_the_reason(model_name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        build_model(tiny_config(model_name=model_name), 3)
    assert model_name == "" or isinstance(refused.value, ModelError)


@pytest.mark.parametrize(
    "model_name", ["test_resnet", "test_convnext", "test_nfnet", "mobilenetv3_small_100", "vgg11"]
)
def test_a_cnn_is_accepted_and_its_parameters_counted(model_name: str) -> None:
    model = timm.create_model(model_name)
    assert check_architecture(model_name) == sum(p.numel() for p in model.parameters())


def test_weights_that_need_a_network_say_what_works_without() -> None:
    with pytest.raises(HubError, match="tf_efficientnet_lite0 works without"):
        build_model(tiny_config(model_name="test_resnet", pretrained=True), 3)


def test_an_architecture_without_weights_is_refused_when_they_are_asked_for() -> None:
    with pytest.raises(ModelError, match="no pretrained weights for .*--no-pretrained"):
        build_model(config_for(model_name="resnet200"), 3)


def test_norms_and_biases_get_no_weight_decay_and_the_body_a_lower_rate() -> None:
    config = tiny_config(weight_decay=0.05, body_lr_mult=0.25)
    model = build_model(config, 3)
    head = {id(p) for p in head_of(model).parameters()}
    groups = parameter_groups(model, config, frozen=False)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0)
            assert group["scale"] == (1.0 if id(parameter) in head else 0.25)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    undecayed = {id(p) for g in groups if g["weight_decay"] == 0 for p in g["params"]}
    assert {id(p) for norm in norms for p in norm.parameters()} <= undecayed


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_optimizer_gets_each_groups_rate(optimizer: str) -> None:
    config = tiny_config(optimizer=optimizer, body_lr_mult=0.25, momentum=0.8)
    model = build_model(config, 3)
    made = make_optimizer(parameter_groups(model, config, frozen=False), config, 0.4)
    assert {group["lr"] for group in made.param_groups} == {0.4, 0.1}
    for group in made.param_groups:
        assert (group["betas"][0] if optimizer == "adamw" else group["momentum"]) == 0.8


def test_a_frozen_body_gives_only_the_head_to_the_optimizer() -> None:
    config = tiny_config()
    model = build_model(config, 3)
    groups = parameter_groups(model, config, frozen=True)
    assert {id(p) for g in groups for p in g["params"]} == {
        id(p) for p in head_of(model).parameters()
    }


def test_a_frozen_body_is_bit_identical_after_training_the_head(tmp_path: Path) -> None:
    config = tiny_config("lesson", freeze_epochs=2, lr=0.01)
    learner = tiny_learner(config, pretend=True)
    learner.config = config_for(**{**learner.config.to_dict(), "epochs": 0, "unfreeze": "never"})

    def parts() -> tuple[str, str]:
        state = learner.model.state_dict()
        body = [v for name, v in state.items() if ".fc." not in f".{name}"]
        assert any("running_mean" in name for name in state)
        return digest(body), digest(v for name, v in state.items() if ".fc." in f".{name}")

    before = parts()
    events, run = collect(fit(learner, tmp_path, should_stop=never))
    assert run is not None
    phases = [event.phase for event in events if isinstance(event, PhaseStarted)]
    assert phases == ["head", "head_augmented"]
    after = parts()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_set_mode_keeps_the_statistics_of_pretrained_norms_and_moves_those_of_random_ones() -> None:
    model = build_model(tiny_config(), 3)
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    for frozen, pretrained, moves in (
        (True, True, False),
        (False, True, False),
        (False, False, True),
    ):
        set_mode(model, frozen=frozen, pretrained=pretrained)
        before = norm.running_mean.clone() if norm.running_mean is not None else None
        model(torch.randn(4, 3, 32, 32))
        assert before is not None
        assert norm.running_mean is not None
        assert torch.equal(before, norm.running_mean) != moves
        assert head_of(model).training
        body = next(p for p in model.parameters())
        assert body.requires_grad == (not frozen)
        assert all(p.requires_grad for p in head_of(model).parameters())


def test_the_folded_head_gives_the_same_logits_from_raw_features() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(50, 64, generator=generator) * torch.logspace(-3, 3, 64) + 5
    features[:, 7] = 2.5  # one that is always the same
    head = Head(64, 5, generator=generator)
    head.standardize(features)
    seen = (features - head.mean) / head.std
    assert torch.allclose(seen.mean(0), torch.zeros(64), atol=1e-2)
    varying = torch.arange(64) != 7
    assert torch.allclose(seen.std(0, correction=0)[varying & (head.std != 1)], torch.ones(()))
    weight, bias = head.folded()
    with torch.no_grad():
        logits = head(features)
    folded = features.double() @ weight.double().T + bias.double()
    assert torch.allclose(folded.float(), logits, rtol=1e-3, atol=1e-3)


def test_body_features_and_head_are_the_whole_model() -> None:
    model = build_model(tiny_config(), 3).eval()
    inputs = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        features = body_features(model, inputs)
        assert features.shape == (2, head_of(model).linear.in_features)
        assert torch.allclose(head_of(model)(features), model(inputs), atol=1e-5)


def test_a_model_whose_classifier_is_a_convolution_works_and_can_be_exported(
    tmp_path: Path,
) -> None:
    config = tiny_config(model_name="resnetv2_18", image_size=64)
    assert isinstance(classifier_of(create("resnetv2_18"))[1], nn.Conv2d)
    model = build_model(config, 3).eval()
    head_of(model).standardize(torch.randn(16, 512) * 3 + 1)
    preprocess = preprocess_for(_cfg(config.model_name), 64)
    inputs = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        logits = model(inputs)
    assert logits.shape == (2, 3)
    folder, names = tmp_path / "model", ("a", "b", "c")
    export_model(model, config.model_name, names, preprocess, folder, pretrained=False)
    loaded = load_model(folder)
    assert loaded.class_names == ("a", "b", "c")
    assert loaded.preprocess == preprocess
    with torch.inference_mode():
        assert torch.allclose(loaded.model(inputs), logits, atol=1e-4)
