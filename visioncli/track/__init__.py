"""Tracking: the same object in successive frames has the same id.

`Tracker` is the protocol that every tracker keeps, `config` its parameters, `library` Ultralytics' trackers
behind the protocol, `motion` the camera's movement, `follow` the pipeline's events with ids put in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from visioncli.results import Detections

# In the order of `--help`; the first is the default.
TRACKERS = ("botsort", "bytetrack", "ocsort", "deepocsort", "fasttrack", "tracktrack")


class Tracker(Protocol):
    """Follows the objects of one video, a frame at a time, in order."""

    def update(self, found: Detections, warp: NDArray[np.float64] | None = None) -> Detections:
        """Those of `found` that belong to a track, in their order, with `ids` from 1.

        `warp` is the (2, 3) affine map from the previous frame's pixels to this one's, None where the
        camera's motion is not compensated. `found.features` say what each object looks like, if they do.
        """
