"""What the Publish tab shows as HTML: the Hub's answers as a list, and what is on the Hub now."""

from trainer.events import Preflight, Pushed
from trainer.runner import Run
from ui.fold import Fold
from ui.result_view import end_card
from ui.words import count, text

_NUM_SAME = 2
"""Findings that are the same for each part: the login and its namespace."""
_NAMES = {"model": "Model", "space": "Demo page", "dataset": "Pictures"}


def findings_html(run: Run, fold: Fold) -> str:
    """What the Hub answered, a line each, with a mark that does not need its colour."""
    if run.status == "failed" and fold.failed:
        return end_card("failed", "It cannot be published yet", fold.failed.message)
    if run.status == "stopped":
        return end_card("stopped", "Stopped", "Nothing was made on the Hub.")
    if not fold.preflights:
        return '<div class="lab-card empty"><h3>Asking the Hub …</h3></div>'
    lines = "".join(_lines(found, first=not index) for index, found in enumerate(fold.preflights))
    fine = all(found.ok for found in fold.preflights)
    title = "The Hub would take it" if fine else "This needs a change first"
    words = "" if run.job.get("model") else "<p>Train a model, then publish it here.</p>"
    return (
        f'<div class="lab-card {"" if fine else "failed"}"><h3>{title}</h3>'
        f'<ul class="lab-asked">{lines}</ul>{words if fine else ""}</div>'
    )


def _lines(found: Preflight, *, first: bool) -> str:
    """What was found for one part; the login is the same for each and is said once."""
    shown = found.findings if first else found.findings[_NUM_SAME:]
    return "".join(
        f'<li class="{"ok" if level == "ok" else "problem"}">'
        f'<b aria-label="{"fine" if level == "ok" else "problem"}">'
        f"{'✓' if level == 'ok' else '✕'}</b> {_part(found, place)}{text(words)}</li>"
        for place, (level, words) in enumerate(shown, start=0 if first else _NUM_SAME)
    )


def _part(found: Preflight, place: int) -> str:
    return f"{_NAMES[found.kind]}: " if place >= _NUM_SAME else ""


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
