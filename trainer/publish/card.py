"""The model card: the README.md of a published model, written from the records of its run.

The same records give the same bytes. A card that somebody has changed is left as it is.
"""

from collections.abc import Iterable
from pathlib import Path

from trainer.events import Event
from trainer.publish.facts import RunFacts, run_facts
from trainer.publish.front_matter import front_matter
from trainer.publish.own_card import is_own_card, marked
from trainer.publish.plots import draw_plots, plots_of
from trainer.publish.sections import body

CARD = "README.md"


def card_text(facts: RunFacts, repo_id: str | None = None, *, plots: bool = True) -> str:
    """The card of a model.

    Args:
        facts: what is known.
        repo_id: `owner/name` on the Hub, for the lines that load it; None: the folder itself.
        plots: refer to the pictures that `draw_plots` makes.
    """
    drawn = plots_of(facts) if plots else ()
    text = f"---\n{front_matter(facts, repo_id)}\n---\n\n{body(facts, repo_id, drawn)}\n\n"
    return marked(text)


def write_card(
    model_folder: Path,
    run_folder: Path | None,
    *,
    repo_id: str | None = None,
    plots: bool = True,
    ending: Iterable[Event] = (),
) -> bool:
    """Write the card, and its plots, into a model folder.

    Args:
        model_folder: what `export_model` wrote.
        run_folder: whose journal tells of the training; None where there is none.
        repo_id: `owner/name` on the Hub, for the lines that load it.
        plots: draw them too; importing matplotlib takes longer than the rest.
        ending: events that the journal does not hold yet.

    Returns:
        False where somebody has changed the card by hand: nothing is written then.

    Raises:
        ModelError: the model folder's `config.json` cannot be read.
    """
    path = model_folder / CARD
    if path.exists() and not is_own_card(path.read_text(encoding="utf-8", errors="replace")):
        return False
    facts = run_facts(model_folder, run_folder, ending=ending)
    if plots:
        draw_plots(facts, model_folder)
    path.write_text(card_text(facts, repo_id, plots=plots), encoding="utf-8", newline="\n")
    return True
