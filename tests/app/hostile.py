"""Text that attacks the terminal, the markup or the layout. Every place that shows text is tried with it."""

from __future__ import annotations

HOSTILE: dict[str, str] = {
    "osc52": "clip\x1b]52;c;aGFja2Vk\x07board",
    "osc_title": "ti\x1b]0;owned\x1b\\tle",
    "reset": "re\x1bcset",
    "csi_clear": "clear\x1b[2J\x1b[H\x1b[31mred",
    "alt_screen_off": "leave\x1b[?1049l\x1b[?1000h",
    "c1_csi": "c1\x9b31m and \x9d52;c;aGFja2Vk\x9c",
    "bell_backspace": "bell\x07\x08\x08\x08back\x7f",
    "carriage_return": "real\rfake",
    "bidi_override": "user\u202egnp.exe\u202c\u2066iso\u2069\u200f",
    "markup_close": "[/] [/b] [bold",
    "markup_click": "[@click=app.quit]press[/] [link=file:///etc/passwd]me[/link]",
    "markup_content": "[$error]x[/] $text [on red]",
    "nul": "nul\x00byte",
    "lone_surrogate": "sur\ud800rogate\udfff",
    "separators": "line\u2028separated\u2029paragraph\x85next\x0bvt\x0cff",
    "zero_width": "zero\u200bwidth\u200d\ufeff\u2060soft\u00adhyphen",
    "tags": "tag\U000e0041\U000e0042smuggling\ufe0f",
    "zalgo": "z" + "\u0300\u0316\u0334" * 40 + "algo",
    "wide": "宽字符😀👨\u200d👩\u200d👧 end",
    "tabs": "a\tb\t\tc",
}

FORBIDDEN = (
    *("\x1b]52;c;aGFja2Vk", "\x1b]0;", "\x1bc", "\x1b[2J", "\x9b", "\x9d"),
    *("\u202e", "\u200b", "\u2066", "\u2028", "\x00", "\x07", "\x08", "\x7f"),
)
"""Sequences that only hostile text would bring to the terminal; Textual itself writes none of them."""
