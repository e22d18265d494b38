"""What the Publish tab shows as HTML: the Hub's answers as a list, and what is on the Hub now."""

from collections.abc import Sequence

from trainer.events import Preflight, Pushed
from trainer.runner import Run
from ui.fold import Fold
from ui.result_view import end_card
from ui.words import count, text

_NUM_COMMON = 2
"""Findings of the login and of its namespace: they are about no part where all parts agree."""
_NAMES = {"model": "Model", "space": "Demo page", "dataset": "Pictures"}


def findings_html(run: Run, fold: Fold) -> str:
    """What the Hub answered, a line each, with a mark that does not need its colour."""
    if run.status == "failed" and fold.failed:
        return end_card("failed", "It cannot be published yet", fold.failed.message)
    if run.status == "stopped":
        return end_card("stopped", "Stopped", "Nothing was made on the Hub.")
    if not fold.preflights:
        return '<div class="lab-card empty"><h3>Asking the Hub …</h3></div>'
    fine = all(found.ok for found in fold.preflights)
    title = "Ready to publish" if fine else "This needs a change first"
    words = "" if run.job.get("model") else "<p>Train a model, then publish it here.</p>"
    return (
        f'<div class="lab-card {"" if fine else "failed"}"><h3>{title}</h3>'
        f'<ul class="lab-asked">{_lines(fold.preflights)}</ul>{words if fine else ""}</div>'
    )


def _lines(parts: Sequence[Preflight]) -> str:
    """What was found, part by part; what was said already, as the login was, is not said again."""
    said: set[tuple[str, str]] = set()
    lines = []
    for number, part in enumerate(parts):
        for place, (level, words) in enumerate(part.findings):
            common = place < _NUM_COMMON
            if common and (level, words) in said:
                continue
            said.add((level, words))
            name = "" if common and not number else f"{_NAMES[part.kind]}: "
            mark, what = ("✓", "fine") if level == "ok" else ("✕", "problem")
            kind = "ok" if level == "ok" else "problem"
            lines.append(
                f'<li class="{kind}"><b aria-label="{what}">{mark}</b> {name}{text(words)}</li>'
            )
    return "".join(lines)


def result_html(run: Run, fold: Fold) -> str:
    """How the publication goes, and what is on the Hub."""
    parts = "".join(_pushed(pushed) for pushed in fold.pushed)
    notes = "".join(f'<p class="lab-quiet">{text(note)}</p>' for note in fold.notes)
    if run.status == "failed" and fold.failed:
        kept = "Your model is kept here." if not fold.pushed else "What is listed above is there."
        words = f"{fold.failed.message} {kept}"
        return parts + end_card("failed", "Not everything was published", words)
    if run.status == "stopped":
        words = fold.stopped.message if fold.stopped else ""
        return parts + end_card("stopped", "Stopped", words)
    if run.status == "done":
        return parts + notes
    doing = fold.waiting.text if fold.waiting else "Starting"
    return f'{parts}<div class="lab-card empty"><h3>{text(doing)} …</h3></div>'


def _pushed(pushed: Pushed) -> str:
    link = (
        f'<a href="{text(pushed.url)}" target="_blank" rel="noopener noreferrer">'
        f"{text(pushed.url.partition('://')[2])}</a>"
    )
    if pushed.verified:
        how = "✓ Verified: the Hub holds every file as it was sent"
        if pushed.num_compared:
            pictures = count(pushed.num_compared, "picture")
            how += f", and the model loaded back from it answers {pictures} alike"
        how += "."
    else:
        how = f"✕ Not verified: {pushed.differs}."
    again = "" if pushed.changed else " It held the same files already, so nothing was changed."
    kind = "" if pushed.verified else "failed"
    return (
        f'<div class="lab-card {kind}"><h3>{_NAMES[pushed.kind]}</h3><p class="lab-link">{link}</p>'
        f"<p class='quiet'>{text(how)}{again}</p>{_usage(pushed)}</div>"
    )


def _usage(pushed: Pushed) -> str:
    """How whoever gets the link uses it."""
    repo_id = "/".join(pushed.url.split("/")[-2:])
    code = {
        "model": f'timm.create_model("hf-hub:{repo_id}", pretrained=True)',
        "dataset": f'datasets.load_dataset("{repo_id}")',
    }.get(pushed.kind)
    return f"<pre class='lab-code'><code>{text(code)}</code></pre>" if code else ""
