"""The themes: calm, light, high contrast, and one with colours apart for every kind of colour vision."""

from __future__ import annotations

from textual.theme import Theme

THEMES: tuple[Theme, ...] = (
    Theme(
        name="calm",
        primary="#8aadf4",
        secondary="#91a7c7",
        accent="#b7a4e0",
        success="#8fc58a",
        warning="#e0b56c",
        error="#e88388",
        foreground="#d5d9e3",
        background="#14161c",
        surface="#1b1e26",
        panel="#262a35",
        dark=True,
        variables={"text-muted": "#8b93a5", "border": "#3a4050"},
    ),
    Theme(
        name="light",
        primary="#2458b3",
        secondary="#4b6186",
        accent="#6b46a8",
        success="#2a7a2f",
        warning="#8a5a00",
        error="#b3261e",
        foreground="#1f2430",
        background="#fbfbf9",
        surface="#f1f1ee",
        panel="#e3e4e2",
        dark=False,
        variables={"text-muted": "#5d6473", "border": "#c3c6cc"},
    ),
    Theme(
        name="high-contrast",
        primary="#00d7ff",
        secondary="#ffffff",
        accent="#ffff5f",
        success="#5fff5f",
        warning="#ffff00",
        error="#ff8787",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#262626",
        dark=True,
        variables={"text-muted": "#d0d0d0", "border": "#ffffff"},
    ),
    # Okabe and Ito's colours: blue for safe, vermilion for unsafe, yellow for unclear.
    Theme(
        name="colour-blind",
        primary="#56b4e9",
        secondary="#cc79a7",
        accent="#cc79a7",
        success="#56b4e9",
        warning="#f0e442",
        error="#e8743b",
        foreground="#e4e4e4",
        background="#121212",
        surface="#1c1c1c",
        panel="#2a2a2a",
        dark=True,
        variables={"text-muted": "#a0a0a0", "border": "#4a4a4a"},
    ),
)
