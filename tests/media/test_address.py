"""Addresses are shown without what opens doors."""

from __future__ import annotations

import pytest

from visioncli.media.address import file_name, public


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:geheim@cam.local:554/a?b=1", "rtsp://cam.local:554/a?b=1"),
        ("rtsp://me:ge@he:im@cam/a", "rtsp://cam/a"),
        ("RTSPS://me@cam/a", "RTSPS://cam/a"),
        ("http://cam/video?user=me&password=geheim&n=1", "http://cam/video?user=me&password=***&n=1"),
        ("rtsp://cam/user=me&Pwd=geheim&channel=1", "rtsp://cam/user=me&Pwd=***&channel=1"),
        ("https://host/a.jpg?X-Amz-Signature=geheim", "https://host/a.jpg?X-Amz-Signature=***"),
        ("https://host/a.jpg?token=geheim#top", "https://host/a.jpg?token=***#top"),
        ("https://host/mail@home.jpg", "https://host/mail@home.jpg"),
        ("https://host/a.jpg", "https://host/a.jpg"),
        ("photo@home.jpg", "photo@home.jpg"),
        ("password=x.jpg", "password=x.jpg"),
        ("0", "0"),
        ("", ""),
    ],
)
def test_shown(address: str, shown: str) -> None:
    assert public(address) == shown
    assert "geheim" not in shown


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://me:geheim@192.168.1.5:554/live/main?x=1", "192.168.1.5-554-live-main"),
        ("rtsp://cam/", "cam"),
        ("rtsp://[::1]:8554/a", "1-8554-a"),
        ("rtsp:///", "stream"),
        ("rtsp://cam/../../etc", "cam-..-..-etc"),
    ],
)
def test_names_of_files(address: str, name: str) -> None:
    assert file_name(address) == name
