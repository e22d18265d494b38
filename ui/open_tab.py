"""Remembers the open tab in the browser: a reload and a sign-in come back to where one was."""

from collections.abc import Sequence

import gradio as gr

# Tabs say that they are selected while the page is built, too, before it is known which one was
# open. A browser may forbid a page in a frame to store anything; then the first tab opens.
_REMEMBER = """() => {
  try { if (window.labTabKnown) sessionStorage.setItem("lab-tab", "TAB") } catch {}
}"""
_RESTORE = """() => {
  let open = null
  try { open = sessionStorage.getItem("lab-tab") } catch {}
  window.labTabKnown = true
  return { ...(TABS.includes(open) ? { selected: open } : {}), __type__: "update" }
}"""


def remember_open_tab(demo: gr.Blocks, tabs: gr.Tabs, each: Sequence[gr.Tab]) -> None:
    """Attach it to the page."""
    names = [str(tab.id) for tab in each]
    for tab, name in zip(each, names, strict=True):
        tab.select(None, js=_REMEMBER.replace("TAB", name), api_visibility="private")
    demo.load(
        None, None, [tabs], js=_RESTORE.replace("TABS", repr(names)), api_visibility="private"
    )
