import maskrcnn


def test_completion_offers_what_the_package_gives() -> None:
    assert dir(maskrcnn) == ["Tiling", "build", "compose", "load"]
    assert all(callable(getattr(maskrcnn, name)) for name in dir(maskrcnn))
