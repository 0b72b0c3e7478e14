"""What the plugin offers: cards. Nothing heavy is imported here, for `vision models list` reads it."""

from visioncli.registry.cards import Card, Weights


def cards() -> list[Card]:
    """The models of this plugin."""
    return [
        Card(
            name="blobs",
            task="detect",
            family="Blobs",
            library="vision-blobs",
            adapter="vision_blobs.adapter:BlobDetector",
            factory="blobs",
            weights=(Weights("BRIGHT", "blobs.pt", licence="MIT", metrics={"map": 12.5}),),
            default="BRIGHT",
            params=1,
            names=("blob",),
        )
    ]
