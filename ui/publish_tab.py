"""The Publish tab: which model, under which name, for whom; what was asked; what is on the Hub."""

import os
from dataclasses import dataclass
from typing import Any

import gradio as gr

PRIVATE, PUBLIC = "private", "public"
DEMO, DATA = "push-demo", "push-data"
EXTRAS = [
    ("A demo page: the model in a browser, for free", DEMO),
    ("The uploaded pictures, as a dataset", DATA),
]


@dataclass(frozen=True, slots=True)
class PublishTab:
    model: gr.Dropdown
    name: gr.Textbox
    visibility: gr.Radio
    extras: gr.CheckboxGroup
    check: gr.Button
    publish: gr.Button
    nonce: gr.Textbox
    """What the confirming click brings back; hidden."""
    findings: gr.HTML
    result: gr.HTML

    @property
    def followed(self) -> list[Any]:
        """What following may write to."""
        return [
            *(self.model, self.name, self.check, self.publish),
            *(self.nonce, self.findings, self.result),
        ]


def build_publish_tab() -> PublishTab:
    """What to publish in the left third; what the Hub says in the rest."""
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            if "OAUTH_CLIENT_ID" in os.environ:  # without it the button would stop the start
                gr.LoginButton(elem_id="sign-in")
            model = gr.Dropdown(
                [], value=None, label="Model", info="a finished training", elem_id="publish-model"
            )
            name = gr.Textbox(
                "",
                label="Name",
                info="as it will be called on the Hub",
                placeholder="my-classifier",
                max_lines=1,
                max_length=160,
                elem_id="publish-name",
            )
            visibility = gr.Radio(
                [("Private: only you", PRIVATE), ("Public: everybody", PUBLIC)],
                value=PRIVATE,
                label="Who can see it",
                elem_id="publish-visibility",
            )
            extras = gr.CheckboxGroup(
                EXTRAS, value=[DEMO], label="Publish with it", elem_id="publish-extras"
            )
            check = gr.Button("Check the name and the login", variant="primary", elem_id="ask-hub")
        with gr.Column(scale=2, min_width=320):
            findings = gr.HTML(empty_findings(), elem_id="publish-findings")
            publish = gr.Button("Publish", variant="primary", visible=False, elem_id="publish")
            result = gr.HTML("", elem_id="publish-result")
            nonce = gr.Textbox("", visible="hidden", elem_id="publish-nonce")
    return PublishTab(
        model=model,
        name=name,
        visibility=visibility,
        extras=extras,
        check=check,
        publish=publish,
        nonce=nonce,
        findings=findings,
        result=result,
    )


def empty_findings() -> str:
    """What stands there before anything was asked."""
    return (
        '<div class="lab-card empty"><h3>Your model on the Hugging Face Hub</h3><p>It gets a page '
        "with a card, and a link to send. First the Hub is asked whether it would take it; "
        "nothing is made there until you press <b>Publish</b>. You can ask before you train."
        "</p></div>"
    )
