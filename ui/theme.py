"""The looks: one calm theme with one accent, and the style sheet of our own HTML."""

from pathlib import Path

from gradio.themes import Base, Color, Soft

_TEAL = Color(
    name="teal_lab",
    c50="#effaf7",
    c100="#d6f2ec",
    c200="#aee4d9",
    c300="#7dd0c1",
    c400="#45b3a2",
    c500="#16917f",
    c600="#0b7a6b",
    c700="#0a6257",
    c800="#0b4e46",
    c900="#0b413b",
    c950="#042521",
)


def theme() -> Base:
    """Teal accent, system fonts (nothing is fetched), contrast of at least 4.5:1."""
    return Soft(
        primary_hue=_TEAL,
        secondary_hue=_TEAL,
        neutral_hue="slate",
        font=("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "sans-serif"),
        font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
    ).set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color_dark="#04211d",
        block_label_text_color="*primary_700",
        block_label_background_fill="*primary_50",
        block_label_text_color_dark="*primary_200",
        block_label_background_fill_dark="*primary_950",
        block_title_text_weight="600",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_title_background_fill="none",
        block_title_background_fill_dark="none",
        block_title_padding="0",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        checkbox_label_background_fill_selected="*primary_600",
        checkbox_label_background_fill_selected_dark="*primary_800",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
    )


def css() -> str:
    """The style sheet, from `assets/app.css`."""
    return (Path(__file__).parent / "assets" / "app.css").read_text(encoding="utf-8")
