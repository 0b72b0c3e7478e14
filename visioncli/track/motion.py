"""The camera's motion from one frame to the next: sparse optical flow on a reduced grey picture.

Corners (Shi and Tomasi) of the previous frame are followed by pyramidal Lucas-Kanade; RANSAC fits a
similarity transform to them, so that what moves by itself does not count.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from visioncli.results import Image

Warp = NDArray[np.float64]
Grey = NDArray[np.uint8]

Points = NDArray[np.float32]  # (N, 1, 2) px

LONG_SIDE = 480  # px of the reduced picture
CORNERS = 200
WINDOW, LEVELS = (15, 15), 2
REACH = 1.0  # px by which a point may miss the common motion
FEWEST, SHARE = 12, 0.2  # points, and the share of all of them, that must move together
RENEW = 0.7  # the share of the corners that must be left over, else new ones are looked for
_NONE: Points = np.zeros((0, 1, 2), np.float32)


class Estimator(Protocol):
    """Looks at the frames of one video in order."""

    def __call__(self, image: Image) -> Warp:
        """The (2, 3) affine map from the previous frame's pixels to this one's.

        The identity for the first frame, after a change of size, and where nothing fits (a scene cut).
        """


class Flow:
    """The estimator for Ultralytics' `sparseOptFlow`."""

    def __init__(self) -> None:
        self._previous: Grey | None = None
        self._points = _NONE  # of the previous picture
        self._size = (0, 0)
        self._enough = 0

    def __call__(self, image: Image) -> Warp:
        """(H, W, 3) uint8 RGB to the (2, 3) map from the frame before."""
        grey = reduced(image)
        if image.shape[:2] != self._size:
            self._size, self._points = image.shape[:2], _NONE
        warp = self._moved(grey)
        self._previous = grey
        if len(self._points) <= self._enough:
            self._points = _corners(grey)
            self._enough = round(RENEW * len(self._points))
        if warp is None:
            return np.eye(2, 3)
        warp[:, 2] *= image.shape[1] / grey.shape[1], image.shape[0] / grey.shape[0]
        return warp

    def _moved(self, grey: Grey) -> Warp | None:
        """The map between the reduced pictures, None where there is none; the points that go with it stay."""
        before, self._points = self._points, _NONE
        if len(before) < FEWEST:
            return None
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            self._previous, grey, before, None, winSize=WINDOW, maxLevel=LEVELS
        )
        followed = status.ravel() == 1
        if np.count_nonzero(followed) < FEWEST:
            return None
        warp, fits = cv2.estimateAffinePartial2D(
            before[followed], found[followed], method=cv2.RANSAC, ransacReprojThreshold=REACH
        )
        # After a cut the points go everywhere: few agree, or on something no camera does between two frames.
        if warp is None or np.count_nonzero(fits) < max(FEWEST, SHARE * len(before)):
            return None
        if _wild(warp, grey.shape):
            return None
        self._points = found[followed][fits.ravel() == 1]
        return np.asarray(warp, np.float64)


def _corners(grey: Grey) -> Points:
    found = cv2.goodFeaturesToTrack(grey, CORNERS, 0.01, 4, blockSize=3)
    return _NONE if found is None else np.asarray(found, np.float32)


class LibraryMotion:
    """Ultralytics' other methods (`orb`, `sift`, `ecc`), on the same reduced picture."""

    def __init__(self, method: str) -> None:
        from visioncli.models import _ultralytics

        make = _ultralytics.load("ultralytics.trackers.utils.gmc").GMC
        self._make: Any = lambda: make(method, downscale=1)
        self._library = self._make()
        self._size = (0, 0)

    def __call__(self, image: Image) -> Warp:
        """As `Flow`."""
        grey = reduced(image)
        if image.shape[:2] != self._size:
            self._size, self._library = image.shape[:2], self._make()
        warp = np.array(self._library.apply(grey[:, :, None]), np.float64)
        if _wild(warp, grey.shape):
            return np.eye(2, 3)
        warp[:, 2] *= image.shape[1] / grey.shape[1], image.shape[0] / grey.shape[0]
        return warp


def estimator(method: str) -> Estimator:
    """A fresh estimator for a video; `method` as Ultralytics names them."""
    return Flow() if method == "sparseOptFlow" else LibraryMotion(method)


def reduced(image: Image) -> Grey:
    """The picture in grey, its longer side `LONG_SIDE` px at most."""
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _wild(warp: Warp, shape: tuple[int, ...]) -> bool:
    """Whether a map turns, zooms or shifts the picture more than a camera does between two frames."""
    height, width = shape[:2]
    zoom = float(np.hypot(warp[0, 0], warp[1, 0]))
    turned = abs(float(warp[1, 0])) > 0.35 * zoom
    centre = warp @ (width / 2, height / 2, 1) - (width / 2, height / 2)
    return turned or not 0.7 < zoom < 1.4 or bool((np.abs(centre) > (width / 3, height / 3)).any())
